"""Measure what the classes' names and descriptions are worth before there are many labels, and with some."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from bench.timing import load
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.encoders.registry import ENCODERS
from ml_backend.errors import DataError
from ml_backend.models.base import LabeledItems
from ml_backend.models.sentences import Sentences
from ml_backend.semi_supervised.choice import fit_with_pool
from ml_backend.semi_supervised.class_names import embedded, name_mass
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.graph import Neighbourhood, balanced
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.simulation.headline_files import find_headlines, read_headlines
from ml_backend.strategies.auto import auto

LABELS: Final = (4, 8, 12, 20)
ARMS: Final = ("none", "names", "described")


@dataclass(frozen=True)
class Case:
    """Labelled texts, and what their classes are called."""

    title: str
    texts: Sequence[str]
    targets: NDArray[np.int64]
    names: tuple[str, ...]
    described: tuple[str, ...]
    """Written once, by the definition of the classes, before anything was measured."""
    held_out: int


AG_NAMES: Final = ("World", "Sports", "Business", "Sci/Tech")
AG_DESCRIBED: Final = (
    "international politics, war, elections, governments and conflicts between countries",
    "sports: matches, teams, players, leagues and championships",
    "business, companies, the economy, markets, stocks, earnings and oil prices",
    "science and technology: computers, software, the internet, phones, space and research",
)
HEADLINE_NAMES: Final = ("not related", "related")
HEADLINE_DESCRIBED: Final = (
    "other news: politics, sports, business, entertainment, local matters",
    "a disaster: an earthquake, flood, fire, storm, drought, epidemic, war, terror attack or accident with many people "
    "harmed",
)

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path, typer.Option(help="Folder with ag_news/ and headlines/.")],
    items: Annotated[int, typer.Option(min=400, help="Texts in the pool, at the most.")] = 1_000,
    seeds: Annotated[int, typer.Option(min=2, help="Splits into pool and held-out texts.")] = 5,
    encoder: Annotated[str, typer.Option(help="Encoder of the texts.")] = "minilm",
) -> None:
    """Accuracy (AUC where there are two classes) on texts held out, mean of the splits and its 95 % interval.

    At 0 labels: of the likeliest class by the descriptions alone. Then: of the model that the product fits to the
    labels that `auto` asks for, one by one, and the pool.
    """
    console.print(f"Pool of at most {items:,}, {seeds} splits, {encoder} {load()}")
    for case in (ag_news(data, titles_only=True), headlines(data), ag_news(data, titles_only=False)):
        table = Table(case.title, "0 labels", *(f"{n} labels" for n in LABELS))
        measured = np.array([_split(case, items, encoder, seed) for seed in range(seeds)])  # [S, A, 1 + labels]
        for arm, runs in zip(ARMS, np.moveaxis(measured, 1, 0), strict=True):
            table.add_row(arm, *(told(column) for column in runs.T))
        for arm, runs in zip(ARMS[1:], np.moveaxis(measured[:, 1:] - measured[:, :1], 1, 0), strict=True):
            table.add_row(f"{arm} - none", *(told(column, signed=True) for column in runs.T))
        console.print(table)


def ag_news(data: Path, *, titles_only: bool) -> Case:
    """Four classes.

    Raises:
        DataError: the file is missing.
    """
    path = data / "ag_news" / "test.csv"
    if not path.exists():
        raise DataError(f"No AG titles in {path}; name another folder with --data")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row[0].isdigit()]
    texts = [row[1] if titles_only else f"{row[1]}. {row[2]}" for row in rows]
    targets = np.array([int(row[0]) - 1 for row in rows])
    title = "AG titles" if titles_only else "AG titles and texts"
    return Case(title, texts, targets, AG_NAMES, AG_DESCRIBED, 1_000)


def headlines(data: Path) -> Case:
    """Two classes, one of them rare."""
    found = [item for path in find_headlines(data).evaluation for item in read_headlines(path)]
    targets = np.array([int(item.label == "related") for item in found])
    return Case("headlines (AUC)", [item.text for item in found], targets, HEADLINE_NAMES, HEADLINE_DESCRIBED, 400)


def _split(case: Case, items: int, encoder: str, seed: int) -> list[list[float]]:
    """Of one split: each arm's measure at 0 labels and at `LABELS`."""
    order = np.random.default_rng(seed).permutation(len(case.texts))
    held_out, pool = order[: case.held_out], order[case.held_out :][:items]
    texts, targets = [case.texts[i] for i in pool], case.targets[pool]
    judged = LabeledItems([case.texts[i] for i in held_out], case.targets[held_out])
    embedding = PoolEmbedding.learn(ENCODERS[encoder], texts, seed=seed)
    nodes = embedding.places(texts)
    prior = np.full(len(case.names), 1.0 / len(case.names))
    asked = _asked(embedding, nodes, targets, prior, seed)
    found = []
    for said in (None, case.names, case.described):
        names = None if said is None else embedded(embedding.encoder, said)
        unlabelled = Unlabelled(embedding, prior, names=names)
        guess = np.nan if names is None else _guess(embedding, nodes, targets, names, prior)
        models = [fitted(case, texts, targets, asked[:n], unlabelled, seed) for n in LABELS]
        found.append([guess, *(_worth(model, judged) for model in models)])
    return found


def _asked(
    embedding: PoolEmbedding,
    nodes: NDArray[np.int64],
    targets: NDArray[np.int64],
    prior: NDArray[np.float64],
    seed: int,
) -> list[int]:
    """Positions in the pool that `auto` asks for, each after the answer to the one before."""
    asked: list[int] = []
    rng = np.random.default_rng([seed, 8])
    for _ in range(max(LABELS)):
        left = np.setdiff1d(np.arange(len(nodes)), asked)
        done = np.array(asked, dtype=np.int64)
        graph = Neighbourhood(
            embedding.weights, lambda: embedding.coordinates, nodes[left], nodes[done], targets[done], prior
        )
        asked.append(int(left[auto(graph, 1, rng).order[0]]))
    return asked


def _guess(
    embedding: PoolEmbedding,
    nodes: NDArray[np.int64],
    targets: NDArray[np.int64],
    names: NDArray[np.float32],
    prior: NDArray[np.float64],
) -> float:
    mass = name_mass(embedding.weights, embedding.rows, names)[nodes]
    return measure(balanced(mass / mass.sum(axis=1, keepdims=True), prior.astype(np.float32)), targets)


def fitted(
    case: Case,
    texts: Sequence[str],
    targets: NDArray[np.int64],
    asked: Sequence[int],
    unlabelled: Unlabelled,
    seed: int,
) -> Sentences | None:
    """The model that the product fits to these labels and the pool; None while they are of one class."""
    known = LabeledItems([texts[i] for i in asked], targets[list(asked)])
    if len(np.unique(known.targets)) < 2:
        return None
    encoder = {"encoder": unlabelled.embedding.encoder.name}
    return fit_with_pool(
        Recipe(lambda: Sentences(case.names), seed=seed, hyperparameters=encoder), known, texts, unlabelled
    ).model


def _worth(model: Sentences | None, judged: LabeledItems) -> float:
    return np.nan if model is None else measure(model.probabilities(judged.items)[:, 0], judged.targets)


def measure(probabilities: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    """Accuracy, or AUC of two classes, in percent."""
    if probabilities.shape[1] == 2:
        return 100 * float(roc_auc_score(targets, probabilities[:, 1]))
    return 100 * float((probabilities.argmax(axis=1) == targets).mean())


def told(values: NDArray[np.float64], *, signed: bool = False) -> str:
    """Mean of the splits that have one, and the half of its 95 % interval."""
    there = values[~np.isnan(values)]
    if len(there) < 2:
        return "-"
    half = student.ppf(0.975, len(there) - 1) * there.std(ddof=1) / np.sqrt(len(there))
    return f"{there.mean():{'+' if signed else ''}.1f} ± {half:.1f}" + (f" ({len(there)})" * (len(there) < len(values)))


if __name__ == "__main__":
    app()
