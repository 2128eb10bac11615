"""What a process imports, for seconds, before its first training: once, where many are forked from it."""

from __future__ import annotations

from importlib import import_module
from typing import Final

MODULES: Final = ("ml_backend.models.training", "ml_backend.models.headlines_network")
"""The first brings torch, the second scikit-learn."""


def load() -> None:
    """Import it all. Nothing is computed, and no GPU is asked for: a fork may follow."""
    for name in MODULES:
        import_module(name)
