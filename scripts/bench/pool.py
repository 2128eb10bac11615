"""Measure learning from the pool: the embedding once, a fit in the background, and one label to the next order."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from bench import options
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.encoders.gradients import Gradients
from ml_backend.instant.queue import InstantQueue
from ml_backend.models.base import LabeledItems
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.records import Prediction
from ml_backend.selection.ordering import queue_scores
from ml_backend.semi_supervised.choice import fit_with_pool
from ml_backend.semi_supervised.earlier import Earlier
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.graph import Neighbourhood
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.mnist_files import load_mnist
from ml_backend.strategies.auto import auto

EMBED_LIMIT, FIT_LIMIT, NEXT_LIMIT, INSTANT_LIMIT = 180.0, 45.0, 15.0, 0.1
"""Seconds that are allowed, of a machine with two cores."""
LABELS = tuple("0123456789")
QUEUE = 200
FURTHER = 10
"""Labels between two fits."""

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("the digits", otherwise="ACTIVE_LEARNING_TEST_DATA, else data")] = None,
    items: Annotated[int, typer.Option(min=20, help="Digits in the pool.")] = 8000,
    labels: Annotated[int, typer.Option(min=2, help="Labels of the fit.")] = 50,
    answers: Annotated[int, typer.Option(min=1, max=QUEUE, help="Answers to the instant loop.")] = 100,
    fit: Annotated[bool, typer.Option("--fit/--no-fit", help="Whether a fit is timed, too.")] = True,
) -> None:
    """Embed MNIST digits, fit with the pool, and answer one task after the other; time and share of the limit of each.

    CPU seconds say what it costs; wall seconds what one waits, other programs included.
    """
    images, digits, _ = load_mnist(data or data_folder())
    pool, targets = list(images[:items]), digits[:items].astype(np.int64)
    table = Table("what", "wall s", "CPU s", "limit s", "wall / limit")

    wall, cpu = time.perf_counter(), time.process_time()
    embedding = PoolEmbedding.learn(Gradients, pool, seed=0)
    _row(table, f"embedding of {items:,} images, once", wall, cpu, EMBED_LIMIT)

    if fit:
        known = LabeledItems(pool[:labels], targets[:labels])
        unlabelled = Unlabelled(embedding, np.full(10, 0.1))
        wall, cpu = time.perf_counter(), time.process_time()
        first = fit_with_pool(Recipe(lambda: MnistCnn(LABELS), seed=0), known, pool, unlabelled)
        _row(table, f"fit to {labels} labels and the pool, from scratch", wall, cpu, FIT_LIMIT)

        earlier = Earlier(lambda: first.model, "pool", np.bincount(known.targets, minlength=10), len(pool))
        more = LabeledItems(pool[: labels + FURTHER], targets[: labels + FURTHER])
        wall, cpu = time.perf_counter(), time.process_time()
        fit_with_pool(Recipe(lambda: MnistCnn(LABELS), seed=0), more, pool, unlabelled, earlier=earlier)
        _row(table, f"the next, {FURTHER} labels later, which goes on from it", wall, cpu, NEXT_LIMIT)

    walls, cpus = _answered(embedding, targets, answers)
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        found, spent = float(np.quantile(walls, share)), float(np.quantile(cpus, share))
        what = f"label in, next order out: {name} of {answers}"
        table.add_row(what, f"{found:.3f}", f"{spent:.3f}", f"{INSTANT_LIMIT:g}", f"{found / INSTANT_LIMIT:.2f}")
    console.print(table)


def _row(table: Table, what: str, wall: float, cpu: float, limit: float) -> None:
    taken, spent = time.perf_counter() - wall, time.process_time() - cpu
    table.add_row(what, f"{taken:.1f}", f"{spent:.1f}", f"{limit:g}", f"{taken / limit:.2f}")


def _answered(embedding: PoolEmbedding, targets: np.ndarray, answers: int) -> tuple[list[float], list[float]]:
    """Wall and CPU seconds of each answer with what is to be moved after it, right answers given, in a queue of 200."""
    first = np.array([int(np.flatnonzero(targets == digit)[0]) for digit in range(10)])
    rest = np.setdiff1d(np.arange(len(embedding)), first)
    prior = np.full(10, 0.1)
    graph = Neighbourhood(embedding.weights, lambda: embedding.coordinates, rest, first, np.arange(10), prior)
    picked = auto(graph, QUEUE, np.random.default_rng(0))
    places = zip(rest[picked.order].tolist(), queue_scores(picked.utility).tolist(), strict=True)
    queue = InstantQueue(graph, rest, [Prediction(task, None, 0.0, score, "auto") for task, score in places])
    walls, cpus = [], []
    for _ in range(answers):
        task = queue.give(None) or 0
        wall, cpu = time.perf_counter(), time.process_time()
        queue.take_in(task, int(targets[task]), None)
        swap = queue.swap()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        if swap is not None:
            queue.apply(swap)
    return walls, cpus


if __name__ == "__main__":
    app()
