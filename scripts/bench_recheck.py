"""Measure the re-check: how many of the labels that it lists are wrong, against a random list of the same length.

A share of right labels is flipped to another class; the labels are then judged as in a round. Beside it the cheaper
ways that it was chosen from: a head on the embedding of a model that saw all labels, and the model's own guesses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from bench_models import DIGITS, HEADLINE_LABELS, data_folder
from common import console, new_app, progress_bar, tell_errors
from numpy.typing import NDArray
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from ml_backend.datasets import RELATED, load_headlines, load_mnist
from ml_backend.doubt import FOLDS, doubtful, out_of_sample
from ml_backend.models.base import Model
from ml_backend.models.headlines import Headlines
from ml_backend.models.mnist_cnn import MnistCnn

LISTED: Final = 20
"""A list as long as a tab that somebody looks through."""

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
        typer.Option(help="Folder with mnist/ and headlines/. [default: ACTIVE_LEARNING_TEST_DATA, else data]"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each kind: seeds 0, 1, ...")] = 2,
) -> None:
    """Flip 5, 10 and 20 % of the labels of digits and headlines, and count what is found."""
    folder = data or data_folder()
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
    rng = np.random.default_rng(seed)
    given = right.copy()
    flipped = rng.permutation(count)[: round(share * count)]
    given[flipped] = (right[flipped] + rng.integers(1, len(labels), len(flipped))) % len(labels)
    started = time.perf_counter()
    found = doubtful(judge(model, labels, items, given, seed), given)
    seconds = time.perf_counter() - started
    wrong = (given != right)[found]
    return len(found), wrong.mean() if found else 0.0, wrong.sum() / len(flipped), _mean(wrong[:LISTED]), seconds


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
