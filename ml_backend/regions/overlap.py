"""How much two regions lie at the same place: intersection over union, of boxes, outlines and spans."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in percent of the image."""
Span = tuple[float, float]
"""Start and end: characters, or seconds."""
SIZES: Final = ("x", "y", "width", "height")


def box_of(value: Mapping[str, Any]) -> Box | None:
    """The upright box around a rectangle, an ellipse, a polygon or a line; None where there is none of these.

    A rectangle that is turned, and every outline, is compared by the box around it.
    """
    numbers = [_number(value.get(name)) for name in SIZES]
    x, y, width, height = numbers
    if x is not None and y is not None and width is not None and height is not None:
        return _turned(x, y, width, height, _number(value.get("rotation")) or 0.0)
    rx, ry = _number(value.get("radiusX")), _number(value.get("radiusY"))
    if x is not None and y is not None and rx is not None and ry is not None:
        return (x - rx, y - ry, x + rx, y + ry)
    return _around(value.get("points"))


def span_of(value: Mapping[str, Any]) -> Span | None:
    """The stretch of a text, a sound or a series; None where there is none."""
    offsets = value.get("globalOffsets")  # of HTML, whose own start and end count inside a tag
    found = offsets if isinstance(offsets, Mapping) else value
    start, end = _number(found.get("start")), _number(found.get("end"))
    return (start, end) if start is not None and end is not None and end >= start else None


def overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """Intersection over union, in [0, 1] (Jaccard 1901), of two values; None where their places cannot be compared."""
    boxes = box_of(one), box_of(other)
    if boxes[0] is not None and boxes[1] is not None:
        return box_overlap(boxes[0], boxes[1])
    spans = span_of(one), span_of(other)
    if spans[0] is not None and spans[1] is not None:
        return span_overlap(spans[0], spans[1])
    return None


def box_overlap(a: Box, b: Box) -> float:
    """Of two boxes; 1 of two that are the same, also where they have no area."""
    if a == b:
        return 1.0
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0


def span_overlap(a: Span, b: Span) -> float:
    """Of two spans; 1 of two that are the same, also where they are empty."""
    if a == b:
        return 1.0
    shared = max(min(a[1], b[1]) - max(a[0], b[0]), 0.0)
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _turned(x: float, y: float, width: float, height: float, rotation: float) -> Box:
    """The box around a rectangle turned about its upper left corner, as Label Studio turns it (degrees)."""
    if rotation % 360 == 0:
        return (x, y, x + width, y + height)
    angle = math.radians(rotation)
    cos, sin = math.cos(angle), math.sin(angle)
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    xs = [x + a * cos - b * sin for a, b in corners]
    ys = [y + a * sin + b * cos for a, b in corners]
    return (min(xs), min(ys), max(xs), max(ys))


def _around(points: Any) -> Box | None:
    if not isinstance(points, list) or not points:
        return None
    found = [(_number(p[0]), _number(p[1])) for p in points if isinstance(p, list | tuple) and len(p) > 1]
    xs, ys = [x for x, _ in found if x is not None], [y for _, y in found if y is not None]
    if len(xs) != len(points) or len(ys) != len(points):
        return None
    return (min(xs), min(ys), max(xs), max(ys))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
