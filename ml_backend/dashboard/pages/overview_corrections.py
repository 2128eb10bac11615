"""Part of the overview: what people made of another model's predictions."""

from __future__ import annotations

from typing import Any, Final

from dash import html

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.pages.base import Data
from ml_backend.records import CONTROL

ARMS: Final = {CONTROL: "drawn at random, nothing shown", "picked": "picked, regions shown"}
"""Arm of the measures → the text of its row."""
COUNTS: Final = ("predicted", "kept", "moved", "relabelled", "removed", "added")


def section(data: Data) -> Any:
    """One row for each arm that has answers."""
    found = data["corrections"] or {}
    rows = [_row(words_of, found[arm]) for arm, words_of in ARMS.items() if found.get(arm, {}).get("tasks")]
    if not rows:
        return parts.section("What people corrected", html.P("Not known yet: no task of an order is answered."))
    head = ["Tasks", "Answered", "Corrected", *(name.capitalize() for name in COUNTS), "Overlap"]
    numbers = tuple(range(1, len(head)))
    return parts.section(
        "What people corrected",
        parts.table(head, rows, caption="By how the tasks were chosen", numbers=numbers),
        note="Regions that another model predicted, against those that people submitted. Overlap 1: at the same place.",
        topic="corrections",
    )


def _row(name: str, one: Data) -> list[Any]:
    between = f"{words.percent(one['low'], 0)} to {words.percent(one['high'], 0)}"
    share = f"{words.percent(one['corrected'] / one['tasks'], 0)} ({between})"
    overlap = words.MISSING if one["overlap"] is None else f"{one['overlap']:.2f}"
    return [name, f"{one['tasks']:,}", share, *(f"{one[count]:,}" for count in COUNTS), overlap]
