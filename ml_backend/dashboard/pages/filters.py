"""Fields that say which tasks to show, on the search page, the queue and the map.

A field's name in the query of the address is its ``data-asks``, or else the part of its id after the last dash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from dash import dcc, html


def filters(labels: Iterable[str], states: Mapping[str, str], asked: Mapping[str, str], prefix: str) -> list[Any]:
    """Fields for label, prediction, its probability, and state; their names are in ``data-asks``."""
    names = [("", "any"), *((label, label) for label in labels)]
    return [
        field("Label", menu(names, asked.get("label", ""), f"{prefix}-label", "label")),
        field("Prediction", menu(names, asked.get("guess", ""), f"{prefix}-guess", "guess")),
        field("Probability from", typed("least", asked, "0 %", prefix=prefix, kind="number", most=100)),
        field("Probability to", typed("most", asked, "100 %", prefix=prefix, kind="number", most=100)),
        field("State", menu([("", "any"), *states.items()], asked.get("state", ""), f"{prefix}-state", "state")),
    ]


def field(label: str, control: Any, note: str = "") -> Any:
    """A labelled control."""
    remark = [html.Div(note, className="hint")] if note else []
    return html.Div([html.Label(label, htmlFor=control.id), control, *remark], className="field")


def menu(pairs: Iterable[tuple[str, str]], chosen: str, identity: str, asks: str = "") -> Any:
    """A native menu of (value, text) pairs."""
    entries = [html.Option(text, value=value, selected=value == chosen) for value, text in pairs]
    named: dict[str, Any] = {"data-asks": asks} if asks else {}
    return html.Select(entries, id=identity, **named)


def typed(
    name: str,
    asked: Mapping[str, str],
    example: str,
    *,
    prefix: str = "search",
    kind: Literal["text", "number"] = "text",
    most: int = 0,
) -> Any:
    """A field to type into, with an example. A number is at most ``most``, unless that is 0."""
    bounds: dict[str, Any] = {"min": 0, "step": "any"} if kind == "number" else {}
    bounds |= {"max": most} if most else {}
    value: Any = asked.get(name)
    return dcc.Input(id=f"{prefix}-{name}", type=kind, value=value, placeholder=example, autoComplete="off", **bounds)
