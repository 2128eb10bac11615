"""Measure the choice of an encoder: how often few labels pick another one than many labels would."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from bench import options
from bench.package_sets import TABLES
from bench.shapes import coloured_shapes
from bench.timing import load
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.encoders import feature_store, text_vectors
from ml_backend.encoders.languages import language_hint
from ml_backend.encoders.registry import ENCODERS
from ml_backend.errors import DataError
from ml_backend.importing.image_files import png_data_uri
from ml_backend.label_studio.media import decode_data_uri
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.models.photos import Photos
from ml_backend.models.reading import ItemReader
from ml_backend.semi_supervised.encoder_choice import best_encoder, left_out_right
from ml_backend.simulation.mnist_files import load_mnist
from ml_backend.simulation.photo_table import FOLDER, read_photographs
from ml_backend.simulation.picture_items import read_pictures

LABELS: Final = (20, 30, 50, 100)
SAMPLE: Final = 300
"""Unlabelled items beside them, as in a round."""
MANY: Final = 1_000
"""Labels that say which encoder is the right one."""
EQUAL: Final = 0.01
"""Difference in accuracy within which either is right."""
PENALTIES: Final = (0.3, 1.0, 3.0, 10.0, 30.0)
TEXT_ENCODERS: Final = tuple(text_vectors.PACKAGED)
TEXT_SETS: Final = ("titles", *TABLES)
SETS: Final = ("digits", "photographs", "shapes", *TEXT_SETS)

Positions = NDArray[np.int64]

app = new_app()


@dataclass(frozen=True)
class Case:
    """One data set, read by each encoder."""

    name: str
    items: dict[str, Sequence[Any]]
    """Name in ``ENCODERS`` → the items as it reads them ``[N]``, the preferred first."""
    targets: Positions
    pool: Positions
    judges: Positions
    """Items that accuracy with many labels is measured on."""


@app.command()
@tell_errors
def main(
    data: Annotated[Path, typer.Option(help="Folder with mnist/, groceries/ and ag_news/.")],
    items: Annotated[int, typer.Option(min=200, help="Most items of a data set, judges included.")] = 2_000,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of the labels.")] = 10,
    only: Annotated[list[str] | None, typer.Option(help=f"Of: {', '.join(SETS)}. [default: the first 4]")] = None,
    keep: Annotated[Path | None, options.KEEP] = None,
    in_use: Annotated[
        str | None, typer.Option(help="Encoder that texts were read by before. [default: by their language]")
    ] = None,
) -> None:
    """Of each number of labels, how many draws picked an encoder that is worse with a thousand, and by how much."""
    feature_store.use(keep)
    table = Table("set", *(f"{n} labels" for n in LABELS), "picked", "cost, points", title=f"wrong choices {load()}")
    wrong = total = 0
    for case in _cases(data, items, only or SETS[:4]):
        accuracy = {name: _accuracy(case, name) for name in case.items}
        told = ", ".join(f"{name} {share:.1%}" for name, share in accuracy.items())
        console.print(f"{case.name}, with many labels: {told}", soft_wrap=True)
        right = {name for name, share in accuracy.items() if share >= max(accuracy.values()) - EQUAL}
        cells, picked, cost = [], Counter[str](), 0.0
        before = (in_use or _hinted(case)) if case.name in TEXT_SETS else None
        for count in LABELS:
            picks = Counter(_picked(case, count, seed, before) for seed in range(seeds))
            cost += sum(times * (max(accuracy.values()) - accuracy[name]) for name, times in picks.items())
            missed = sum(times for name, times in picks.items() if name not in right)
            wrong, total = wrong + missed, total + seeds
            cells.append(f"{missed} of {seeds}")
            picked += Counter({name: times for name, times in picks.items() if name not in right})
        names = ", ".join(f"{name} {times}" for name, times in picked.most_common())
        table.add_row(case.name, *cells, names, f"{100 * cost / (seeds * len(LABELS)):.2f}")
    console.print(table)
    console.print(f"Wrong: {wrong} of {total}")


def _cases(data: Path, most: int, names: Sequence[str]) -> Iterator[Case]:
    for name in names:
        messages.print(f"{name}: reading ...")
        if name in TEXT_SETS:
            texts, targets = _titles(data, most) if name == "titles" else _table(data / TABLES[name], most)
            yield Case(name, dict.fromkeys(TEXT_ENCODERS, texts), targets, *_halves(len(texts)))
        elif name == "photographs":
            yield _photographs(data, most)
        elif name == "digits":
            images, digits, _ = load_mnist(data)
            raws = [decode_data_uri(png_data_uri(image)) for image in images[:most]]
            yield Case(name, _pictures(raws), digits[:most].astype(np.int64), *_halves(len(raws)))
        elif name == "shapes":
            raws, kinds = coloured_shapes(most)
            yield Case(name, _pictures(raws), np.unique(kinds, return_inverse=True)[1], *_halves(most))
        else:
            raise DataError(f"No set {name!r}; --only takes {', '.join(SETS)}")


def _photographs(data: Path, most: int) -> Case:
    """Judged by the official split: random halves would share shots of one shelf."""
    rows = read_photographs(data)
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:most])
    raws = [(data / FOLDER / rows[i].path).read_bytes() for i in chosen]
    targets = np.unique([rows[i].label for i in chosen], return_inverse=True)[1]
    test = np.array([rows[i].test for i in chosen])
    return Case("photographs", _pictures(raws), targets, np.flatnonzero(~test), np.flatnonzero(test))


def _titles(data: Path, most: int) -> tuple[list[str], Positions]:
    with (data / "ag_news" / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[:most]
    return [row[1] for row in rows], np.array([int(row[0]) - 1 for row in rows])


def _table(path: Path, most: int) -> tuple[list[str], Positions]:
    """A table that `bench.package_sets` wrote, in a drawn order: it may be sorted by class."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = np.random.default_rng(0).permutation(len(rows))[:most]
    targets = np.unique([rows[i]["label"] for i in chosen], return_inverse=True)[1]
    return [rows[i]["text"] for i in chosen], targets


def _hinted(case: Case) -> str:
    """The encoder that the texts' language speaks for."""
    return language_hint(next(iter(case.items.values()))).encoder


def _pictures(raws: Sequence[bytes]) -> dict[str, Sequence[Any]]:
    models = (MnistCnn, Photos)
    return {model.embedding: _read(model.reader({}), raws) for model in models}


def _read(reader: ItemReader, raws: Sequence[bytes]) -> list[Any]:
    found = read_pictures(reader, raws)
    if wrong := [item for item in found if isinstance(item, Exception)]:
        raise DataError(f"{len(wrong)} pictures cannot be read, first: {wrong[0]}")
    return found


def _halves(count: int) -> tuple[Positions, Positions]:
    order = np.random.default_rng(0).permutation(count)
    return order[: count // 2], order[count // 2 :]


def _accuracy(case: Case, name: str) -> float:
    """Of logistic regression with many labels on the encoder's vectors."""
    known = np.random.default_rng(0).permutation(case.pool)[:MANY]
    items = case.items[name]
    encoder = ENCODERS[name].learn([items[i] for i in case.pool], seed=0)
    rows, judged = (encoder.embed([items[i] for i in part]) for part in (known, case.judges))
    model = GridSearchCV(LogisticRegression(max_iter=1_000), {"C": PENALTIES}, cv=3)
    model.fit(rows, case.targets[known])
    return float(model.score(judged, case.targets[case.judges]))


def _picked(case: Case, count: int, seed: int, in_use: str | None) -> str:
    """The encoder that so many labels choose, by what a round does, after one was in use."""
    drawn = np.random.default_rng(seed).permutation(case.pool)[: count + SAMPLE]
    labelled, classes = np.arange(count), int(case.targets.max()) + 1
    right = {}
    for name, items in case.items.items():
        some = [items[i] for i in drawn]
        encoder = ENCODERS[name].learn(some, seed=seed)
        right[name] = left_out_right(list(encoder.views(some)), labelled, case.targets[drawn[:count]], classes)
    return best_encoder(right, in_use)


if __name__ == "__main__":
    app()
