"""Measure the map from one model to the next: seconds, how far points move, how true neighbourhoods stay.

Digits, models of a growing number of labels. *Moved* is the median way of the points in units of the map's spread;
*fresh* is the same for a layout that starts anew and is only aligned with the one before. *Truth* is trustworthiness
over 15 neighbours (Venna & Kaski 2001), 1 where all neighbours on the map are neighbours in the embedding.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from sklearn.manifold import trustworthiness

from bench import options
from bench.models import DIGITS
from bench.timing import load
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.rounds.projection import NOTHING, lay_out
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.mnist_files import load_mnist
from ml_backend.store.pool_map import Layout

LABELS: Final = (110, 200, 300)
HELD_OUT: Final = 2_000
NEIGHBOURS: Final = 15

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("mnist/", otherwise="ACTIVE_LEARNING_TEST_DATA, else data")] = None,
    items: Annotated[int, typer.Option(min=300, help="Digits on the map.")] = 8_000,
) -> None:
    """Lay out digits by three models, one after the other."""
    images, digits, _ = load_mnist(data or data_folder())
    images, targets = images[HELD_OUT : HELD_OUT + items], digits[HELD_OUT : HELD_OUT + items].astype(np.int64)
    ids = np.arange(len(images), dtype=np.int64)
    table = Table(title=f"The map of {len(images):,} digits {load()}")
    for heading in ("labels", "seconds", "truth", "moved", "fresh: truth", "moved"):
        table.add_column(heading, justify="right")
    before = NOTHING
    for count in LABELS:
        model = MnistCnn(DIGITS)
        model.fit(images[:count], targets[:count], seed=0)
        embedding = model.embed(images)
        started = time.perf_counter()
        layout = lay_out(embedding, ids, before, seed=0)
        seconds = time.perf_counter() - started
        compared = ("", "", "") if before is NOTHING else _compared(embedding, before, layout)
        table.add_row(f"{count}", f"{seconds:.1f}", f"{_truth(embedding, layout):.3f}", *compared)
        before = layout
    console.print(table)


def _compared(embedding: NDArray[np.floating], before: Layout, layout: Layout) -> tuple[str, str, str]:
    """How far the layout moved; truth and way of a fresh one."""
    fresh = _aligned(before, lay_out(embedding, layout.task_ids, seed=0))
    return f"{_moved(before, layout):.0%}", f"{_truth(embedding, fresh):.3f}", f"{_moved(before, fresh):.0%}"


def _truth(embedding: NDArray[np.floating], layout: Layout) -> float:
    return float(trustworthiness(embedding, layout.places, n_neighbors=NEIGHBOURS))


def _aligned(before: Layout, after: Layout) -> Layout:
    """Turned, mirrored and scaled onto the one before (Procrustes)."""
    target, own = (each.places - each.places.mean(axis=0) for each in (before, after))
    left, sizes, right = np.linalg.svd(own.T @ target)
    places = own @ (left @ right) * sizes.sum() / (own**2).sum() + before.places.mean(axis=0)
    return Layout(after.task_ids, places.astype(np.float32))


def _moved(before: Layout, after: Layout) -> float:
    """Median way of the points over the spread of the map before."""
    spread = np.sqrt(((before.places - before.places.mean(axis=0)) ** 2).sum(axis=1).mean())
    return float(np.median(np.linalg.norm(after.places - before.places, axis=1)) / spread)


if __name__ == "__main__":
    app()
