"""Options that several benchmarks have, with the same words in each."""

from __future__ import annotations

from typing import Any, Final

import typer

KEEP: Final[Any] = typer.Option(help="Folder that keeps features for the next time.")
MARKDOWN: Final[Any] = typer.Option(help="Also write the tables to this file.")
RESUMED: Final[Any] = typer.Option(
    help="Folder for features and curves: the same command goes on where it was interrupted."
)
MADE_UP: Final[Any] = typer.Option(help="Not used: the data are made up.")
"""For `--data`, which `make endurance` gives to every benchmark."""


def data(folders: str, *, otherwise: str = "ACTIVE_LEARNING_TEST_DATA") -> Any:
    """``--data`` of a benchmark that reads these folders of the data sets; ``otherwise``: what it reads by default."""
    return typer.Option(help=f"Folder with {folders}. [default: {otherwise}]")
