"""Measure what a classifier that learns from pool and labels gains by other beliefs about the pool's texts.

Axes: ``N`` texts of the pool, ``D`` features, ``L`` labels, ``C`` classes, ``V`` texts held out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from scipy.special import softmax

from bench.learning import paired
from bench.side_by_side import ENCODERS, HELD_OUT, STEPS, read_table
from bench.timing import load
from ml_backend import hardware
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.encoders import feature_store, text_vectors
from ml_backend.encoders.side_by_side import BOTH, SIDE_BY_SIDE, joined, unit_rows
from ml_backend.models.linear_head import weighted
from ml_backend.models.main_directions import main_directions
from ml_backend.semi_supervised.graph import NEIGHBOURS, affinity, label_mass, label_probabilities, nearest
from ml_backend.semi_supervised.training import likeliest
from ml_backend.semi_supervised.tuning import LEAST_GAIN

if TYPE_CHECKING:
    from scipy import sparse

LABELS: Final = (50, 200)
PENALTIES: Final = (3.0, 1.0, 0.3)
DIRECTIONS: Final = 256
LABELS_ALONE: Final = 0.1
"""Penalty of a model of the labels alone."""
SPREAD_POWER: Final = 4.0
"""Of what the graph believes beside a model: the graph's beliefs hardly differ between the classes."""
SHRINKAGE: Final = 0.5
TURNS: Final = 3
LABEL_WEIGHT: Final = 5.0

Rows = NDArray[np.float32]
Positions = NDArray[np.int64]

app = new_app()


@dataclass(frozen=True)
class Case:
    """A pool, its first ``L`` texts labelled, and what is held out."""

    x: Rows
    """Texts of the pool along their main directions ``[N, D]``."""
    held_out: Rows
    targets: Positions
    """Classes of the pool's texts ``[N]``; only those of the labelled are known."""
    truth: Positions
    graphs: dict[str, sparse.csr_matrix]
    classes: int
    count: int

    def spread(self, graph: str = "") -> Rows:
        """Labels spread over a graph, as `training.class_beliefs` has them ``[N, C]``."""
        labelled, targets = np.arange(self.count), self.targets[: self.count]
        mass = label_mass(self.graphs[graph], labelled, targets, self.classes)
        return label_probabilities(mass, labelled, targets, np.full(self.classes, 1 / self.classes))

    def known(self, beliefs: NDArray[np.floating]) -> Rows:
        """The same with the labels in their places."""
        fixed = beliefs.astype(np.float32)
        fixed[: self.count] = np.eye(self.classes)[self.targets[: self.count]]
        return fixed

    def own(self, logits: NDArray[np.floating]) -> NDArray[np.floating]:
        """Probabilities of the classes that have a label."""
        seen = np.bincount(self.targets[: self.count], minlength=self.classes) > 0
        return np.asarray(softmax(np.where(seen, logits, -1e9), axis=1))

    def head(self, beliefs: Rows, penalty: float, label_weight: float = 1.0) -> NDArray[np.float64]:
        """A classifier of each text's likeliest class, as `training.spread_once` has it."""
        from ml_backend.models.logistic_regression import minimise

        hard, weights = likeliest(beliefs, sets=False)
        weights = np.concatenate([label_weight * weights[: self.count], weights[self.count :]])
        examples, _ = weighted(self.x, hard, self.classes, weights)
        return minimise(examples, penalty, STEPS, least_gain=LEAST_GAIN)[0]

    def labels_alone(self) -> NDArray[np.float64]:
        """A classifier of the labels alone."""
        from ml_backend.models.logistic_regression import minimise

        examples, _ = weighted(self.x[: self.count], self.targets[: self.count], self.classes, None)
        return minimise(examples, LABELS_ALONE, STEPS)[0]


Way = Callable[[Case, float], NDArray[np.float64]]
"""The classifier that a way ends in, by its penalty."""


def _logits(solution: NDArray[np.float64], x: Rows) -> NDArray[np.float64]:
    return x @ solution[:, :-1].T + solution[:, -1]


def _again(case: Case, penalty: float, turns: int, spread: float, label_weight: float) -> NDArray[np.float64]:
    """The classifier teaches the next one: its own answers, and a share of the spread labels."""
    first = beliefs = case.spread()
    for _ in range(turns):
        says = case.own(_logits(case.head(beliefs, penalty, label_weight), case.x))
        beliefs = case.known(spread * first + (1 - spread) * says)
    return case.head(beliefs, penalty, label_weight)


def _times_labels_alone(case: Case, penalty: float) -> NDArray[np.float64]:
    alone = _logits(case.labels_alone(), case.x)
    return case.head(case.known(case.own(alone + SPREAD_POWER * np.log(np.maximum(case.spread(), 1e-6)))), penalty)


def _gaussians(case: Case, penalty: float) -> NDArray[np.float64]:
    """A normal distribution for each class, all of one shape, fitted to the pool by EM from the spread labels."""
    x, first = case.x.astype(np.float64), case.spread()
    x = x - x.mean(axis=0)
    beliefs, whole, found = case.known(np.eye(case.classes)[first.argmax(axis=1)]), x.T @ x / len(x), first
    for _ in range(TURNS):
        counts = beliefs.sum(axis=0, dtype=np.float64) + 1e-9
        means = (beliefs.T @ x) / counts[:, None]
        within = whole - (means * counts[:, None] / len(x)).T @ means
        level = SHRINKAGE * np.trace(within) / len(within)
        weights = np.linalg.solve((1 - SHRINKAGE) * within + level * np.eye(len(within)), means.T)
        biases = np.log(counts / len(x)) - (means.T * weights).sum(axis=0) / 2
        found = beliefs = case.known(case.own(x @ weights + biases))
    return case.head(found, penalty)


WAYS: Final[dict[str, Way]] = {
    "spread": lambda case, penalty: case.head(case.spread(), penalty),
    "20 neighbours": lambda case, penalty: case.head(case.spread("20"), penalty),
    "a graph of each encoder": lambda case, penalty: case.head(case.spread("each"), penalty),
    "64 directions, evened out": lambda case, penalty: case.head(case.spread("64"), penalty),
    "labels count 5 times": lambda case, penalty: case.head(case.spread(), penalty, LABEL_WEIGHT),
    "spread x labels alone": _times_labels_alone,
    "Gaussians of one shape": _gaussians,
    "taught again, half": lambda case, penalty: _again(case, penalty, 1, 0.5, 1.0),
    "taught again, 3 times": lambda case, penalty: _again(case, penalty, TURNS, 0.0, LABEL_WEIGHT),
    "labels alone": lambda case, _: case.labels_alone(),
    "all labels known": lambda case, penalty: case.head(np.eye(case.classes, dtype=np.float32)[case.targets], penalty),
}


@app.command()
@tell_errors
def main(
    tables: Annotated[list[Path], typer.Argument(help="Tables with the columns text and label.")],
    draws: Annotated[int, typer.Option(min=2, help="Draws of pool, labels and held-out texts.")] = 5,
    most: Annotated[int, typer.Option(min=250, help="Texts of a pool, at the most.")] = 1_500,
    keep: Annotated[Path | None, typer.Option(help="Folder that keeps features for the next time.")] = None,
) -> None:
    """Accuracy on held-out texts with random labels, and what each way gains on spreading, paired by draw.

    Each way at the penalty that is best for it on the held-out texts: no choice of a penalty can do better.
    """
    feature_store.use(keep)
    for path in tables:
        texts, targets = read_table(path)
        parts = [text_vectors.encode(name, texts) for name in ENCODERS]
        found = np.array([_draw(parts, targets, seed, most) for seed in range(draws)])
        columns = (f"{count} labels" for count in LABELS)
        table = Table("beliefs", *columns, title=f"{path.name}, {len(texts):,} texts {load()}")
        for place, way in enumerate(WAYS):
            cells = []
            for count in range(len(LABELS)):
                gap, half = paired(found[:, place, count], found[:, 0, count])
                lead = f" ({100 * gap:+.1f} ± {100 * half:.1f})" if place else ""
                cells.append(f"{100 * found[:, place, count].mean():.1f}{lead}")
            table.add_row(way, *cells)
        console.print(table)


@hardware.threads()
def _draw(parts: list[Rows], targets: Positions, seed: int, most: int) -> list[list[float]]:
    """Accuracy of each way at each number of labels."""
    import torch

    order = np.random.default_rng(seed).permutation(len(targets))
    held_out, pool = np.split(order, [round(HELD_OUT * len(order))])
    pool = pool[:most]
    rows = joined(parts, list(SIDE_BY_SIDE[BOTH].values()))
    turned = main_directions(torch.from_numpy(rows[pool]), DIRECTIONS).numpy()
    x, classes = rows[pool] @ turned, int(targets.max()) + 1
    graphs = {
        "": _graph(rows[pool]),
        "20": _graph(rows[pool], 20),
        "each": (_graph(parts[0][pool]) + _graph(parts[1][pool])) / 2,
        "64": _graph(_evened_out(rows[pool])),
    }
    cases = [Case(x, rows[held_out] @ turned, targets[pool], targets[held_out], graphs, classes, n) for n in LABELS]
    return [[_best(way, case) for case in cases] for way in WAYS.values()]


def _best(way: Way, case: Case) -> float:
    """Share of right answers at the best penalty."""
    said = (_logits(way(case, penalty), case.held_out).argmax(axis=1) for penalty in PENALTIES)
    return max(float((answers == case.truth).mean()) for answers in said)


def _graph(rows: Rows, neighbours: int = NEIGHBOURS) -> sparse.csr_matrix:
    return affinity(nearest([rows], rows, neighbours + 1))


def _evened_out(rows: Rows) -> Rows:
    """Along 64 main directions around the mean, each divided by a quarter power of its variance, at length 1."""
    centred = rows - rows.mean(axis=0)
    spread, turned = np.linalg.eigh(centred.T @ centred / len(centred))
    return unit_rows(centred @ turned[:, -64:] / np.maximum(spread[-64:], 1e-12) ** 0.25)


if __name__ == "__main__":
    app()
