"""Measure the first labels of photographs: how many are asked for at once, and through which eyes.

Photographs of the official training part alone, so that what is compared here may be chosen by it. A draw is a part of
them as the pool, none labelled. `auto` asks, the labels are spread over the graph, and the share of the pool whose
likeliest class is right is what the order found out. No model is trained: that is what one learns from.

Axes: ``N`` photographs, ``D`` numbers of each, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from bench import options
from bench.timing import load
from ml_backend import hardware
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.encoders import feature_store, picture_vectors
from ml_backend.encoders.photos import Photos
from ml_backend.errors import BadItemError
from ml_backend.models.photos import Photos as Classifier
from ml_backend.semi_supervised.graph import (
    NEIGHBOURS,
    Floats,
    Neighbourhood,
    Positions,
    affinity,
    coordinates,
    label_mass,
    label_probabilities,
    nearest,
)
from ml_backend.simulation.photo_table import FOLDER, read_photographs
from ml_backend.simulation.picture_items import read_pictures
from ml_backend.strategies.auto import auto

PART: Final = 0.64
"""Of the photographs, in each draw: 1,167."""
LABELS: Final = 20
DIRECTIONS: Final = 256
"""Main directions that are kept where they are evened out."""
POWER: Final = 0.25
"""Of a direction's spread, by which it is divided; 1 would be whitening."""
RHYTHMS: Final = {"20 at once": (20, 20), "10, then 10": (10, 10), "10, then one by one": (10, 1)}
"""First picks, and picks between two answers from then on."""

app = new_app()


class Found(NamedTuple):
    """Of one draw."""

    right: float
    """Share of the pool, in %."""
    classes: int
    """With a label."""


@app.command()
@tell_errors
def main(
    data: Annotated[Path, typer.Option(help="Folder with groceries/.")],
    draws: Annotated[int, typer.Option(min=2, help="Pools.")] = 40,
    items: Annotated[int, typer.Option(min=200, help="Most photographs.")] = 2_000,
    keep: Annotated[Path | None, options.KEEP] = None,
) -> None:
    """What 20 labels tell about a pool of photographs, by rhythm and eyes; differences are paired by draw."""
    feature_store.use(keep)
    rows = [row for row in read_photographs(data) if not row.test]
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:items])
    raws = [(data / FOLDER / rows[i].path).read_bytes() for i in chosen]
    targets = np.unique([rows[i].label for i in chosen], return_inverse=True)[1].astype(np.int64)
    messages.print(f"{len(raws):,} photographs: reading ...")
    names = (picture_vectors.LITE1, picture_vectors.LITE0, picture_vectors.DEFAULT)
    lite1, lite0, both = (_features(name, raws) for name in names)
    eyes: dict[str, Callable[[Positions], Floats]] = {
        "Lite1": lambda pool: _centred(lite1[pool]),
        "Lite0": lambda pool: _centred(lite0[pool]),
        "side by side": lambda pool: _centred(both[pool]),
        "side by side, evened out": lambda pool: _evened(_centred(both[pool])),
    }
    found: dict[tuple[str, str], list[Found]] = {}
    with hardware.threads():
        for draw in range(draws):
            pool = np.random.default_rng(draw).permutation(len(raws))[: int(PART * len(raws))]
            for name, seen in eyes.items():
                graph = _graph(seen(pool), int(targets.max()) + 1)
                for rhythm, (first, batch) in RHYTHMS.items():
                    told = _asked(graph, targets[pool], first, batch, np.random.default_rng(draw))
                    found.setdefault((name, rhythm), []).append(told)
    console.print(_table(found, f"{LABELS} labels, {draws} draws {load()}"))


def _features(encoder: str, raws: list[bytes]) -> Floats:
    found = read_pictures(Classifier.reader({"encoder": encoder}), raws)
    return np.stack([item for item in found if not isinstance(item, BadItemError)])


def _centred(rows: Floats) -> Floats:
    return Photos.learn(list(rows), seed=0).embed(list(rows))


def _evened(rows: Floats) -> Floats:
    """Items along the main directions, each of these divided by a power of its spread; of length 1 ``[N, DIRECTIONS]``.

    ``x -> s^-p V^T x``, ``X = U s V^T``.
    """
    from scipy.linalg import eigh

    last = len(rows) - 1
    squares, left = eigh(rows @ rows.T, subset_by_index=(max(0, last - DIRECTIONS + 1), last))
    turned = left * np.sqrt(np.maximum(squares, 0.0)) ** (1 - POWER)
    return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True), dtype=np.float32)


def _graph(rows: Floats, classes: int) -> Neighbourhood:
    weights = affinity(nearest([rows], rows, NEIGHBOURS + 1))
    known = coordinates(weights)
    none, shares = np.zeros(0, np.int64), np.full(classes, 1 / classes)
    return Neighbourhood(weights, lambda: known, np.arange(len(rows)), none, none, shares)


def _asked(graph: Neighbourhood, targets: NDArray[np.int64], first: int, batch: int, rng: np.random.Generator) -> Found:
    """What is known after `LABELS` answers."""
    labelled: Positions = np.zeros(0, np.int64)
    while len(labelled) < LABELS:
        count = min(batch if len(labelled) else first, LABELS - len(labelled))
        left = np.setdiff1d(np.arange(len(targets)), labelled)
        picked = auto(replace(graph, open=left, labelled=labelled, targets=targets[labelled]), count, rng).order
        labelled = np.concatenate([labelled, left[picked]])
    known = targets[labelled]
    mass = label_mass(graph.weights, labelled, known, graph.classes)
    says = label_probabilities(mass, labelled, known, graph.prior).argmax(axis=1)
    return Found(100 * float(np.mean(says == targets)), len(np.unique(known)))


def _table(found: dict[tuple[str, str], list[Found]], title: str) -> Table:
    table = Table("eyes", "asked", "right, %", "spread", "worst", "classes", "against the first", title=title)
    shares = {key: np.array([each.right for each in told]) for key, told in found.items()}
    usual = next(iter(shares.values()))
    for (name, rhythm), right in shares.items():
        gap, classes = right - usual, np.mean([each.classes for each in found[name, rhythm]])
        width = 1.96 * gap.std(ddof=1) / np.sqrt(len(gap))
        cells = f"{right.mean():.1f}", f"{right.std(ddof=1):.1f}", f"{right.min():.1f}", f"{classes:.1f}"
        table.add_row(name, rhythm, *cells, f"{gap.mean():+.1f} ± {width:.1f}" if width else "-")
    return table


if __name__ == "__main__":
    app()
