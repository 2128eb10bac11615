"""One round over a large pool of texts whose vectors are kept: CPU seconds and memory, each against its limit."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from bench.rounds import many_headlines, peak_mb
from bench.timing import load
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.config import ProjectSettings
from ml_backend.encoders import feature_store
from ml_backend.encoders.registry import ENCODERS
from ml_backend.files import atomic
from ml_backend.models.base import LabeledItems
from ml_backend.models.sentences import Sentences
from ml_backend.selection.context import QueryContext
from ml_backend.selection.select import select
from ml_backend.semi_supervised.choice import OpenItems, fit
from ml_backend.semi_supervised.class_names import embedded
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.simulation.data import data_folder

SECONDS: Final = 30.0
MEGABYTES: Final = 1_500.0
"""Limits of a round over 100,000 headlines; of fewer all the more."""
CLASSES: Final = ("politics", "business", "sport", "science")
"""What the classes are called. The vectors alone say which is which, so that the names guess them by chance."""
QUEUE: Final = 200
FILE: Final = "embedding.safetensors"
CLASS_FILE: Final = "classes"

app = new_app()


@dataclass(frozen=True)
class Found:
    """CPU seconds on one thread."""

    read: float
    fit: float
    choose: float
    peak_mb: float
    learnt_from: str


@app.command()
@tell_errors
def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder of headlines/. [default: ACTIVE_LEARNING_TEST_DATA]")
    ] = None,
    items: Annotated[int, typer.Option(min=1_000, help="Headlines in the pool.")] = 100_000,
    labels: Annotated[int, typer.Option(min=20, help="Labels of the fit.")] = 400,
    encoder: Annotated[str, typer.Option(help="Of the texts; the quickest, since its vectors are kept.")] = "wordllama",
    keep: Annotated[
        Path | None, typer.Option(help="Folder that keeps vectors and neighbours for the next time.")
    ] = None,
) -> None:
    """Embed headlines once, then read what is kept, fit to some labels and the pool, and choose, in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        for action in (_embed, _round):  # a process each: the peak of a process never falls
            messages.print(action.__doc__)
            with ProcessPoolExecutor(1, mp_context=context) as executor:
                found = executor.submit(action, data or data_folder(), folder, items, labels, encoder).result()
    seconds = found.read + found.fit + found.choose
    table = Table("what", "found", "limit", "found / limit", title=f"{items:,} headlines, {encoder} {load()}")
    for name, value in (("read what is kept", found.read), ("fit", found.fit), ("choose", found.choose)):
        table.add_row(f"{name}, CPU s", f"{value:.1f}", "", "")
    table.add_row("the round, CPU s", f"{seconds:.1f}", f"{SECONDS:g}", f"{seconds / SECONDS:.2f}")
    table.add_row("peak, MB", f"{found.peak_mb:,.0f}", f"{MEGABYTES:g}", f"{found.peak_mb / MEGABYTES:.2f}")
    console.print(table)
    console.print(found.learnt_from, highlight=False)


def _embed(data: Path, folder: Path, items: int, labels: int, encoder: str) -> None:  # noqa: ARG001
    """Vectors and neighbours, once; and classes, in a file too: the round needs no vector to know them."""
    if (folder / CLASS_FILE).exists():
        return
    feature_store.use(folder)
    texts = many_headlines(data, items)
    embedding = PoolEmbedding.learn(ENCODERS[encoder], texts, seed=0)
    embedding.save(folder / FILE)
    embedded(embedding.encoder, CLASSES)
    messages.print(f"Peak: {peak_mb():,.0f} MB")
    classes = _quarters(embedding.rows)[embedding.places(texts)]
    atomic.write_bytes(folder / CLASS_FILE, classes.astype(np.uint8).tobytes())


def _round(data: Path, folder: Path, items: int, labels: int, encoder: str) -> Found:
    """One round."""
    feature_store.use(folder)
    texts = many_headlines(data, items)
    started = time.process_time()
    embedding = PoolEmbedding.load(folder / FILE)
    embedding.places(texts)
    read = time.process_time()
    targets = np.frombuffer((folder / CLASS_FILE).read_bytes(), np.uint8).astype(np.int64)
    ids = np.arange(items)
    known_ids = np.random.default_rng(0).choice(items, labels, replace=False)
    known = LabeledItems([texts[i] for i in known_ids], targets[known_ids])
    shares = np.full(len(CLASSES), 1 / len(CLASSES))
    unlabelled = Unlabelled(embedding, shares, names=embedded(embedding.encoder, CLASSES))
    open_ids = np.setdiff1d(ids, known_ids)
    open_texts = [texts[i] for i in open_ids]
    settings = ProjectSettings(strategy="auto", queue_size=QUEUE)
    began = time.process_time()
    fitted = fit(
        Recipe(lambda: Sentences(CLASSES), seed=0, hyperparameters={"encoder": encoder}),
        known,
        known_ids.tolist(),
        OpenItems(len(open_ids), lambda: open_texts, unlabelled),
    )
    done = time.process_time()
    context = QueryContext(
        fitted.model,
        open_texts,
        open_ids,
        settings,
        classes=len(CLASSES),
        labelled=known,
        unlabelled=unlabelled,
    )
    select(context, count=QUEUE)
    return Found(read - started, done - began, time.process_time() - done, peak_mb(), fitted.reason)


def _quarters(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Classes that the vectors tell apart ``[N]``: by the signs of two projections."""
    ways = np.random.default_rng(1).normal(size=(rows.shape[1], 2)).astype(np.float32)
    ahead = rows @ ways > rows.mean(axis=0) @ ways
    return np.asarray(2 * ahead[:, 0] + ahead[:, 1], dtype=np.int64)


if __name__ == "__main__":
    app()
