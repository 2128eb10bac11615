"""Charts as plain Plotly figures, so that the pages, the API and the report draw the same ones.

Ink, grid and background come from the page's style sheet, which knows whether the reader's screen is light or dark. A
chart itself fixes only the colours of its data, which can be told apart on both, also by colour-blind readers (Okabe &
Ito 2008, https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

COLOURS: Final = ("#3b7dd8", "#d9730d", "#1a9c75", "#b8559a", "#8a8f00", "#c2410c", "#5b8fb9", "#7c6fcd")
"""Colours of series, in this order."""
QUIET: Final = "#8b8f98"
"""Colour of whatever serves as a comparison."""
BAND: Final = "rgba(139, 143, 152, 0.22)"
"""Colour of an interval around it."""
SCALE: Final = ((0.0, "rgba(59, 125, 216, 0.0)"), (0.02, "rgba(59, 125, 216, 0.14)"), (1.0, "rgba(59, 125, 216, 0.62)"))
"""Colours from nothing to much, on any background; the page's ink is readable on all of them."""
STANDOFF: Final = 12
"""Pixels between the numbers of an axis and its title."""

Figure = dict[str, Any]


def text(value: object) -> str:
    """A user's text for a chart; Plotly would otherwise take ``<b>`` for a tag."""
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(traces: Sequence[Mapping[str, Any]], *, x: str, y: str, **layout: Any) -> Figure:
    """A figure with titled axes. ``layout`` is merged into Plotly's, ``xaxis`` and ``yaxis`` entry by entry."""
    axis: dict[str, Any] = {"zeroline": False, "automargin": True, "ticks": ""}
    # With a standoff Plotly takes the numbers' width into account when it places a title; otherwise it may overlap
    # them.
    base: dict[str, Any] = {
        "xaxis": {**axis, "title": {"text": x, "standoff": STANDOFF}, **layout.pop("xaxis", {})},
        "yaxis": {**axis, "title": {"text": y, "standoff": STANDOFF}, **layout.pop("yaxis", {})},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": len([t for t in traces if t.get("name") and t.get("showlegend", True)]) > 1,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "uirevision": "kept",
        "colorway": list(COLOURS),
    }
    return {"data": [dict(trace) for trace in traces], "layout": base | layout}


def line(
    x: Sequence[Any], y: Sequence[float | None], *, name: str, hover: Sequence[str] = (), colour: str = COLOURS[0]
) -> dict[str, Any]:
    """A line with its points. ``hover`` is shown at the points, escaped by the caller with `text`."""
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(x),
        "y": list(y),
        "name": name,
        "line": {"color": colour, "width": 2},
        "marker": {"size": 7, "color": colour},
    }
    return trace | ({"text": list(hover), "hovertemplate": "%{text}<extra></extra>"} if hover else {})


def band(x: Sequence[Any], low: Sequence[float], high: Sequence[float], *, name: str) -> list[dict[str, Any]]:
    """The area between two curves."""
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    upper = edge | {"x": list(x), "y": list(high)}
    lower = edge | {"x": list(x), "y": list(low), "fill": "tonexty", "fillcolor": BAND, "name": name}
    return [upper, lower]


def reach(values: Sequence[float], lows: Sequence[float], highs: Sequence[float], *, colour: str) -> dict[str, Any]:
    """Error bars from ``lows`` to ``highs``; none towards an end that lies on the wrong side of the value."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(high - value, 0.0) for value, high in zip(values, highs, strict=True)],
        "arrayminus": [max(value - low, 0.0) for value, low in zip(values, lows, strict=True)],
        "color": colour,
    }
