"""Measure the re-check: how many of the labels that it lists are wrong, against a random list of the same length.

A share of right labels is flipped to another class; the labels are then judged as in a round. Beside it the cheaper
ways that it was chosen from: a head on the embedding of a model that saw all labels, and the model's own guesses.
With --pool, instead, what flipped labels cost a model that learns from the pool, and what is found then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from bench import options
from bench.models import DIGITS, HEADLINE_LABELS
from ml_backend.cli.common import console, new_app, progress_bar, tell_errors
from ml_backend.encoders.gradients import Gradients
from ml_backend.evaluation.label_errors import FOLDS, doubtful, out_of_sample
from ml_backend.models.base import LabeledItems, Model
from ml_backend.models.headlines import Headlines
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.semi_supervised.choice import fit_with_pool
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.headline_files import RELATED, load_headlines
from ml_backend.simulation.mnist_files import load_mnist

LISTED: Final = 20
"""A list as long as a tab that somebody looks through."""

HELD_OUT: Final = 2000
LABELLED: Final = 100

Targets = NDArray[np.int64]
Judge = Callable[[type[Model], Sequence[str], Sequence[Any], Targets, int], NDArray[np.float64]]

app = new_app()


def ours(
    model: type[Model], labels: Sequence[str], items: Sequence[Any], targets: Targets, seed: int
) -> NDArray[np.float64]:
    """As in a round: ``FOLDS`` fits of a third of the steps."""
    steps = {Headlines: 150, MnistCnn: 400}[model]  # of a whole training, up to 1,000 examples
    if model is Headlines:
        steps = max(steps, 10 * -(-len(items) // 256))
    return out_of_sample(model, labels, items, targets, seed=seed, hyperparameters={"steps": steps // FOLDS})


def head(
    model: type[Model], labels: Sequence[str], items: Sequence[Any], targets: Targets, seed: int
) -> NDArray[np.float64]:
    """Logistic regression, cross-validated, on the embedding of a model that saw all labels."""
    fitted = model(labels)
    fitted.fit(items, targets, seed=seed)
    features = fitted.embed(items)
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    classifier = LogisticRegression(C=0.1, max_iter=500)
    found: NDArray[np.float64] = cross_val_predict(classifier, features, targets, cv=5, method="predict_proba")
    return found


JUDGES: Final[dict[str, Judge]] = {"ours": ours, "head": head}


@app.command()
@tell_errors
def main(
    data: Annotated[
        Path | None,
        options.data("mnist/ and headlines/", otherwise="ACTIVE_LEARNING_TEST_DATA, else data"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each kind: seeds 0, 1, ...")] = 2,
    pool: Annotated[
        bool, typer.Option("--pool", help="100 random digits of a pool of 8,000: the accuracy lost, and what is found.")
    ] = False,
) -> None:
    """Flip 5, 10 and 20 % of the labels of digits and headlines, and count what is found."""
    folder = data or data_folder()
    if pool:
        console.print(_with_pool(folder, seeds))
        return
    table = Table(title=f"Re-check: flipped labels found, mean of {seeds} runs")
    for heading in ("labels", "flipped", "judge", "listed", "precision", "recall", f"first {LISTED}", "x random", "s"):
        table.add_column(heading, justify="left" if heading in ("labels", "judge") else "right")
    kinds = [("digits", 300), ("digits", 1000), ("headlines", 300), ("headlines", 1000)]
    with progress_bar() as bar:
        task = bar.add_task("re-check", total=len(kinds) * 3 * len(JUDGES) * seeds)
        for kind, count in kinds:
            for share in (0.05, 0.1, 0.2):
                for name, judge in JUDGES.items():
                    runs = [_run(kind, count, share, judge, folder, seed) for seed in range(seeds)]
                    bar.advance(task, seeds)
                    listed, precision, recall, first, seconds = np.mean(runs, axis=0)
                    shown = (
                        f"{precision:.0%}",
                        f"{recall:.0%}",
                        f"{first:.0%}",
                        f"{first / share:.1f}",
                        f"{seconds:.1f}",
                    )
                    table.add_row(f"{count:,} {kind}", f"{share:.0%}", name, f"{listed:.0f}", *shown)
    console.print(table)


def _run(kind: str, count: int, share: float, judge: Judge, folder: Path, seed: int) -> tuple[float, ...]:
    """Length of the list, its precision and recall, the precision of its first ``LISTED``, and seconds."""
    model, labels, items, right = _data(kind, count, folder, seed)
    given = _flipped(right, share, len(labels), seed)
    started = time.perf_counter()
    found = doubtful(judge(model, labels, items, given, seed), given)
    seconds = time.perf_counter() - started
    wrong = (given != right)[found]
    return (
        len(found),
        wrong.mean() if found else 0.0,
        wrong.sum() / (given != right).sum(),
        _mean(wrong[:LISTED]),
        seconds,
    )


def _with_pool(folder: Path, seeds: int) -> Table:
    """Accuracy on 2,000 held-out digits of models of the pool and of the labels alone, and what the re-check lists."""
    table = Table(title=f"{LABELLED} labels of a pool of 8,000 digits, mean of {seeds} runs")
    for heading in ("flipped", "learnt from the pool", "from the labels alone", "listed", "precision", "recall"):
        table.add_column(heading, justify="right")
    runs: dict[float, list[tuple[float, ...]]] = {share: [] for share in (0.0, 0.05, 0.1, 0.2)}
    with progress_bar() as bar:
        task = bar.add_task("pool", total=len(runs) * seeds)
        for seed in range(seeds):
            images, digits, _ = load_mnist(folder)
            order = np.random.default_rng(seed).permutation(len(images))
            items, right = [images[i] for i in order], digits[order].astype(np.int64)
            embedding = PoolEmbedding.learn(Gradients, items[HELD_OUT:], seed=seed)
            for share, found in runs.items():
                found.append(_served(items, right, embedding, share, seed))
                bar.advance(task)
    for share, found in runs.items():
        of_pool, of_labels, listed, precision, recall = np.mean(found, axis=0)
        table.add_row(
            f"{share:.0%}", f"{of_pool:.1%}", f"{of_labels:.1%}", f"{listed:.0f}", f"{precision:.0%}", f"{recall:.0%}"
        )
    return table


def _served(
    items: Sequence[Any], right: Targets, embedding: PoolEmbedding, share: float, seed: int
) -> tuple[float, ...]:
    """Both accuracies; length, precision and recall of the re-check's list."""
    labelled = items[HELD_OUT : HELD_OUT + LABELLED]
    given, truth = _flipped(right[HELD_OUT : HELD_OUT + LABELLED], share, 10, seed), right[:HELD_OUT]
    known, prior = LabeledItems(labelled, given), np.full(10, 0.1)
    model = fit_with_pool(
        Recipe(lambda: MnistCnn(DIGITS), seed=seed), known, items[HELD_OUT:], Unlabelled(embedding, prior)
    ).model
    alone = MnistCnn(DIGITS)
    alone.fit(labelled, given, seed=seed)
    accuracies = [(m.probabilities(items[:HELD_OUT])[:, 0].argmax(axis=1) == truth).mean() for m in (model, alone)]
    found = doubtful(ours(MnistCnn, DIGITS, labelled, given, seed), given)
    flipped = given != right[HELD_OUT : HELD_OUT + LABELLED]
    return *accuracies, len(found), _mean(flipped[found]), flipped[found].sum() / max(flipped.sum(), 1)


def _flipped(right: Targets, share: float, classes: int, seed: int) -> Targets:
    """Labels of which a share, drawn at random, is of another class."""
    rng = np.random.default_rng(seed)
    given = right.copy()
    wrong = rng.permutation(len(right))[: round(share * len(right))]
    given[wrong] = (right[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return given


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _data(kind: str, count: int, folder: Path, seed: int) -> tuple[type[Model], Sequence[str], list[Any], Targets]:
    """Random digits, or headlines of which a third, or all there are, is of the rare class."""
    rng = np.random.default_rng(seed)
    if kind == "digits":
        images, digits, _ = load_mnist(folder)
        picked = rng.permutation(len(images))[:count]
        return MnistCnn, DIGITS, [images[i] for i in picked], digits[picked].astype(np.int64)
    source = load_headlines(folder)
    rows = [*source.training, *source.evaluation]
    rare = np.array([row.label == RELATED for row in rows])
    positive, negative = rng.permutation(np.flatnonzero(rare)), rng.permutation(np.flatnonzero(~rare))
    picked = rng.permutation(np.concatenate([positive[: count // 3], negative])[:count])
    return Headlines, HEADLINE_LABELS, [rows[i].text for i in picked], rare[picked].astype(np.int64)


if __name__ == "__main__":
    app()
