"""Measure encoders: what a picture or a text costs, what lower precision changes, what each knows of AG's titles."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from bench.timing import load
from ml_backend import hardware
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.encoders import picture_vectors, text_vectors
from ml_backend.encoders.picture_encoder import Encoder
from ml_backend.encoders.pictures import decode
from ml_backend.errors import BadItemError, DataError
from ml_backend.simulation.photo_table import FOLDER, read_photographs

Rows = NDArray[np.float32]
PENALTIES: Final = (0.3, 1.0, 3.0, 10.0)
"""C of logistic regression, chosen by cross-validation among the labels."""
LABELS: Final = (40, 200)
NEAR: Final = 10
FEW: Final = (20, 50, 100, 200)
QUARTERS: Final = 4

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path, typer.Option(help="Folder with groceries/ and ag_news/.")],
    items: Annotated[int, typer.Option(min=50, help="Pictures, and texts, that are timed.")] = 1_000,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of the labels.")] = 5,
) -> None:
    """CPU time per 1,000, on one thread; neighbours in bfloat16; accuracy with random labels."""
    console.print(f"One thread, CPU seconds per 1,000 {load()}")
    pictures = _photographs(data, items)
    _decoding(pictures)
    with hardware.threads():
        for name in picture_vectors.NETWORKS:
            _precisions(name, [decode(raw, picture_vectors.side(name)) for raw in pictures])
    _few_labels(data, items, seeds)
    texts, targets = _titles(data)
    _texts(texts, targets, items, seeds)


def _photographs(data: Path, count: int) -> list[bytes]:
    paths = sorted((data / "groceries").glob("*/*.jpg"))
    if not paths:
        raise DataError(f"No photographs in {data / 'groceries'}; name another folder with --data")
    chosen = np.random.default_rng(0).permutation(len(paths))[:count]
    return [paths[i].read_bytes() for i in chosen]


def _titles(data: Path) -> tuple[list[str], NDArray[np.int64]]:
    with (data / "ag_news" / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row[0].isdigit()]
    return [row[1] for row in rows], np.array([int(row[0]) - 1 for row in rows])


def _decoding(pictures: Sequence[bytes]) -> None:
    """Of the photographs as they are, and of one enlarged to 12 megapixels."""
    large = io.BytesIO()
    Image.open(io.BytesIO(pictures[0])).convert("RGB").resize((4032, 3024)).save(large, "JPEG", quality=90)
    table = Table("decoding", "CPU s per 1,000")
    table.add_row("photographs of 224 pixels", f"{_per_1000(lambda: [decode(r, 224) for r in pictures], pictures):.1f}")
    raws = [large.getvalue()] * 10
    table.add_row("12 megapixels", f"{_per_1000(lambda: [decode(r, 224) for r in raws], raws):.1f}")
    table.add_row("12 megapixels, as a whole", f"{_per_1000(lambda: [_whole(r) for r in raws], raws):.1f}")
    console.print(table)


def _whole(raw: bytes) -> Any:
    """A picture decoded at its full scale, then scaled as `decode` does."""
    return np.asarray(
        Image.open(io.BytesIO(raw)).resize((224, 224), Image.Resampling.BICUBIC, box=(693, 189, 3339, 2835))
    )


def _precisions(name: str, pictures: Sequence[NDArray[np.uint8]]) -> None:
    table = Table(name, "CPU s per 1,000", f"same {NEAR} neighbours", "mean cosine")
    first: Rows | None = None
    for dtype in (torch.float32, torch.bfloat16):
        encoder = Encoder(picture_vectors.NETWORKS[name][0](), dtype)
        found: list[Rows] = []
        seconds = _per_1000(lambda e=encoder, f=found: f.append(e.compute(pictures)), pictures)  # type: ignore[misc]
        rows = found[0]
        first = rows if first is None else first
        table.add_row(str(dtype), f"{seconds:.1f}", *_compared(first, rows))
    console.print(table)


def _compared(first: Rows, rows: Rows) -> tuple[str, str]:
    mean = first.mean(axis=0)
    ours, theirs = (centred / np.linalg.norm(centred, axis=1, keepdims=True) for centred in (first - mean, rows - mean))
    near = [np.argsort(-(x @ x.T), axis=1)[:, 1 : NEAR + 1] for x in (ours, theirs)]
    shared = np.mean([len(set(a) & set(b)) / NEAR for a, b in zip(*near, strict=True)])
    return f"{shared:.1%}", f"{(ours * theirs).sum(axis=1).mean():.4f}"


def _few_labels(data: Path, most: int, seeds: int) -> None:
    """Photographs of the official training part alone, a quarter of the shots of each kind judged at a time.

    What is compared here may be chosen by it: the part that results are reported on is not looked at.
    """
    rows = sorted((row for row in read_photographs(data) if not row.test), key=lambda row: row.path)
    kinds = Counter(row.path.rpartition("_")[0] for row in rows)
    seen = Counter[str]()
    parts = []
    for row in rows:  # shots of one kind follow each other: so do the quarters
        kind = row.path.rpartition("_")[0]
        parts.append(seen[kind] * QUARTERS // kinds[kind])
        seen[kind] += 1
    part, targets = np.array(parts), np.unique([row.label for row in rows], return_inverse=True)[1]
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:most])
    raws = [(data / FOLDER / rows[i].path).read_bytes() for i in chosen]
    table = Table(f"{len(raws):,} photographs", *(f"{n} labels" for n in FEW))
    read = {name: picture_vectors.read(name, raws) for name in picture_vectors.NETWORKS}
    both = picture_vectors.DEFAULT
    read[both] = picture_vectors.beside(both, [read[part] for part in picture_vectors.parts(both)])
    for name, items in read.items():
        found = np.stack([item for item in items if not isinstance(item, BadItemError)])
        means = [_by_quarters(found, targets[chosen], part[chosen], count, seeds) for count in FEW]
        table.add_row(name, *(f"{mean:.1f}" for mean in means))
    console.print(table)


def _by_quarters(rows: Rows, targets: NDArray[np.int64], part: NDArray[np.int64], labels: int, seeds: int) -> float:
    """Accuracy of logistic regression (C = 20) on centred vectors of length 1, labels drawn from the other quarters."""
    found = []
    for quarter in range(QUARTERS):
        judged, pool = part == quarter, np.flatnonzero(part != quarter)
        centred = rows - rows[pool].mean(axis=0)
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        for seed in range(seeds):
            drawn = np.random.default_rng(seed).permutation(pool)[:labels]
            model = LogisticRegression(C=20, max_iter=500).fit(unit[drawn], targets[drawn])
            found.append(model.score(unit[judged], targets[judged]))
    return 100 * float(np.mean(found))


def _texts(texts: Sequence[str], targets: NDArray[np.int64], timed: int, seeds: int) -> None:
    """Accuracy on a quarter of the titles, of logistic regression on some of the others."""
    order = np.random.default_rng(0).permutation(len(texts))
    table = Table("AG titles", "CPU s per 1,000", *(f"{n} labels" for n in LABELS))
    for name in text_vectors.PACKAGED:
        text_vectors.compute(name, texts[:1])  # loads it
        with hardware.threads():
            seconds = _per_1000(lambda n=name: text_vectors.encode(n, texts[:timed]), texts[:timed])  # type: ignore[misc]
            rows = text_vectors.encode(name, texts) if timed >= len(LABELS) * 100 else np.zeros((0, 1), np.float32)
        means = [f"{_accuracy(rows, targets, order, n, seeds):.1f}" if len(rows) else "-" for n in LABELS]
        table.add_row(name, f"{seconds:.1f}", *means)
    console.print(table)


def _accuracy(rows: Rows, targets: NDArray[np.int64], order: NDArray[np.int64], labels: int, seeds: int) -> float:
    held_out, pool = order[: len(order) // 4], order[len(order) // 4 :]
    found = []
    for seed in range(seeds):
        drawn = np.random.default_rng(seed).permutation(pool)[:labels]
        model = GridSearchCV(LogisticRegression(max_iter=500), {"C": PENALTIES}, cv=3)
        model.fit(rows[drawn] - rows.mean(axis=0), targets[drawn])
        found.append(model.score(rows[held_out] - rows.mean(axis=0), targets[held_out]))
    return 100 * float(np.mean(found))


def _per_1000(action: Callable[[], Any], items: Sequence[Any]) -> float:
    started = time.process_time()
    action()
    return (time.process_time() - started) / len(items) * 1_000


if __name__ == "__main__":
    app()
