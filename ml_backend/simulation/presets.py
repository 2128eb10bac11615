"""The documented simulations: which data, in which sizes, and what their tables are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ml_backend.simulation.design import Design


@dataclass(frozen=True)
class Preset:
    """One simulation with its usual sizes and what its table is about."""

    kind: str
    """Of a `data.Source`."""
    design: Design
    measure: str
    targets: tuple[float, ...]


PRESETS: Final[dict[str, tuple[Preset, ...]]] = {
    "mnist": (Preset("mnist", Design(2000, 100, 10, 300), "accuracy", (0.95, 0.97, 0.98)),),
    "digits": (Preset("digits", Design(397, 20, 10, 200), "accuracy", (0.9, 0.95, 0.97)),),
    "photos": (Preset("photos", Design(1554, 20, 10, 200, cold=True), "accuracy", (0.75, 0.82, 0.86)),),
    "sets": (
        Preset("news_sets", Design(2000, 40, 20, 240), "f_macro", (0.6, 0.65, 0.7)),
        Preset("photo_sets", Design(1554, 40, 20, 240), "f_macro", (0.6, 0.7, 0.75)),
    ),
    "headlines": (
        Preset("ag_news", Design(2000, 40, 10, 300), "accuracy", (0.75, 0.77, 0.78)),
        Preset("disasters", Design(647, 40, 10, 300), "auc", (0.85, 0.9, 0.92)),
    ),
}
