"""Measure two encoders of texts side by side: what MiniLM's share of the distances is worth, and it alone."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from sklearn.metrics import roc_auc_score

from bench import options
from bench.timing import load
from ml_backend import hardware
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.encoders import feature_store, text_vectors
from ml_backend.encoders.side_by_side import joined
from ml_backend.models.linear_head import weighted
from ml_backend.models.texts import read_text
from ml_backend.semi_supervised.graph import NEIGHBOURS, affinity, label_mass, label_probabilities, nearest
from ml_backend.semi_supervised.training import BINDING, likeliest

ENCODERS: Final = ("minilm", "multilingual")
SHARES: Final = (1.0, 0.8, 2 / 3, 0.5, 0.0)
LABELS: Final = (20, 50, 100, 200)
PENALTY: Final = 1.0
STEPS: Final = 60
HELD_OUT: Final = 1 / 3

Rows = NDArray[np.float32]
Positions = NDArray[np.int64]

app = new_app()


@app.command()
@tell_errors
def main(
    tables: Annotated[list[Path], typer.Argument(help="Tables with the columns text and label.")],
    draws: Annotated[int, typer.Option(min=1, help="Draws of pool, labels and held-out texts.")] = 5,
    keep: Annotated[Path | None, options.KEEP] = None,
) -> None:
    """Accuracy (of two classes AUC) on held-out texts of a classifier that learns from pool and random labels."""
    feature_store.use(keep)
    for path in tables:
        texts, targets = read_table(path)
        parts = [text_vectors.encode(name, texts) for name in ENCODERS]
        columns = (f"{count} labels" for count in LABELS)
        table = Table("share of MiniLM", *columns, "mean", title=f"{path.name}, {len(texts):,} texts {load()}")
        for share in SHARES:
            found = np.nanmean([_draw(parts, targets, share, seed) for seed in range(draws)], axis=0)
            table.add_row(f"{share:.2f}", *(f"{100 * each:.1f}" for each in [*found, found.mean()]))
        console.print(table)


def read_table(path: Path) -> tuple[list[str], Positions]:
    """Different texts of a table, and their classes ``[N]``."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list({row["text"].casefold(): row for row in csv.DictReader(file) if row["text"].strip()}.values())
    return [read_text(row["text"]) for row in rows], np.unique([row["label"] for row in rows], return_inverse=True)[1]


@hardware.threads()
def _draw(parts: Sequence[Rows], targets: Positions, share: float, seed: int) -> list[float]:
    """At each number of labels, of one draw."""
    order = np.random.default_rng(seed).permutation(len(targets))
    held_out, pool = np.split(order, [round(HELD_OUT * len(order))])
    rows = joined(parts, [share, 1 - share])
    weights = affinity(nearest([rows[pool]], rows[pool], NEIGHBOURS + 1))
    counts = np.bincount(targets)
    # Two classes: the rare one's share is known, as a project states it.
    rare = len(counts) == 2
    prior = counts / counts.sum() if rare else np.full(len(counts), 1 / len(counts))
    found = []
    for count in LABELS:
        labelled = np.arange(count)
        known = targets[pool[labelled]]
        if len(set(known.tolist())) < 2:
            found.append(np.nan)  # nothing to learn yet
            continue
        mass = label_mass(weights, labelled, known, len(counts))
        beliefs = label_probabilities(mass, labelled, known, prior, BINDING if rare else 1.0)
        found.append(_score(_answers(rows[pool], beliefs, rows[held_out]), targets[held_out]))
    return found


def _answers(rows: Rows, beliefs: Rows, held_out: Rows) -> Rows:
    """Logits of a classifier of each item's likeliest class ``[V, C]``, as `training.spread_once` has it."""
    import torch

    from ml_backend.models.logistic_regression import answers, minimise

    hard, weights = likeliest(beliefs, sets=False)
    examples, _ = weighted(rows, hard, beliefs.shape[1], weights)
    solution, _ = minimise(examples, PENALTY, STEPS)
    return np.asarray(answers(solution, torch.from_numpy(held_out)).numpy())


def _score(logits: Rows, targets: Positions) -> float:
    if logits.shape[1] == 2:
        return float(roc_auc_score(targets, logits[:, 1] - logits[:, 0]))
    return float((logits.argmax(axis=1) == targets).mean())


if __name__ == "__main__":
    app()
