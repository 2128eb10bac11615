"""Measure what it costs that no two items in a row are alike, and how often they would be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from bench.class_names import Case, ag_news, fitted, headlines, measure, told
from bench.timing import load
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.encoders.registry import ENCODERS
from ml_backend.models.base import LabeledItems
from ml_backend.semi_supervised.graph import Neighbourhood
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.strategies.auto import auto
from ml_backend.strategies.auto_picks import SPACED

LABELS: Final = (20, 60, 100)
BATCH: Final = 10
"""Labels between two rounds, as by default."""
HEAD: Final = 25
"""Places of an order that the queue page shows at first."""
ARMS: Final = {"as they come": 0, "spaced": SPACED}

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path, typer.Option(help="Folder with ag_news/ and headlines/.")],
    items: Annotated[int, typer.Option(min=400, help="Texts in the pool, at the most.")] = 2_000,
    seeds: Annotated[int, typer.Option(min=2, help="Splits into pool and held-out texts.")] = 5,
    encoder: Annotated[str, typer.Option(help="Encoder of the texts.")] = "minilm",
) -> None:
    """Accuracy (AUC of two classes) on texts held out, and how many places of an order's head are like one before.

    `auto` orders, the first ten places are labelled, the model is fitted again as the product does it, and so on.
    Alike: a word of four letters or more is also in one of the ten places before. Mean of the splits, 95 % interval.
    """
    console.print(f"Pool of at most {items:,}, {seeds} splits, {encoder} {load()}")
    for case in (ag_news(data, titles_only=True), headlines(data)):
        table = Table(case.title, "alike, %", *(f"{n} labels" for n in LABELS))
        measured = np.array([_split(case, items, encoder, seed) for seed in range(seeds)])  # [S, A + 1, 1 + labels]
        for arm, runs in zip((*ARMS, "in any order"), np.moveaxis(measured, 1, 0), strict=True):
            table.add_row(arm, *(told(column) for column in runs.T))
        table.add_row("difference", *(told(column, signed=True) for column in (measured[:, 1] - measured[:, 0]).T))
        console.print(table)


def _split(case: Case, items: int, encoder: str, seed: int) -> list[list[float]]:
    """Of one split: each arm's share of alike places, and its measure at `LABELS`."""
    order = np.random.default_rng(seed).permutation(len(case.texts))
    held_out, pool = order[: case.held_out], order[case.held_out :][:items]
    texts, targets = [case.texts[i] for i in pool], case.targets[pool]
    judged = LabeledItems([case.texts[i] for i in held_out], case.targets[held_out])
    embedding = PoolEmbedding.learn(ENCODERS[encoder], texts, seed=seed)
    unlabelled = Unlabelled(embedding, np.full(len(case.names), 1.0 / len(case.names)))
    by_chance = [_alike(texts[start : start + HEAD]) for start in range(0, len(texts) - HEAD, HEAD)]
    runs = [_run(case, texts, targets, unlabelled, judged, seed, spaced) for spaced in ARMS.values()]
    return [*runs, [float(np.mean(by_chance)), *([np.nan] * len(LABELS))]]


def _run(
    case: Case,
    texts: Sequence[str],
    targets: NDArray[np.int64],
    unlabelled: Unlabelled,
    judged: LabeledItems,
    seed: int,
    spaced: int,
) -> list[float]:
    """Label by `auto`, round after round: how alike the head of each order is, and the measure at `LABELS`."""
    asked: list[int] = []
    alike, measures = [], []
    embedding, rng, model = unlabelled.embedding, np.random.default_rng([seed, 8]), None
    nodes = embedding.places(texts)
    while len(asked) < max(LABELS):
        left, done = np.setdiff1d(np.arange(len(nodes)), asked), np.array(asked, dtype=np.int64)
        says = None if model is None else model.probabilities([texts[i] for i in left])[:, 0]
        graph = Neighbourhood(
            embedding.weights,
            lambda: embedding.coordinates,
            nodes[left],
            nodes[done],
            targets[done],
            unlabelled.prior,
            says,
        )
        order = left[auto(graph, HEAD, rng, spaced=spaced).order].tolist()
        alike.append(_alike([texts[i] for i in order]))
        asked += order[:BATCH]
        model = fitted(case, texts, targets, asked, unlabelled, seed)
        if len(asked) in LABELS:
            measures.append(
                np.nan if model is None else measure(model.probabilities(judged.items)[:, 0], judged.targets)
            )
    return [float(np.mean(alike)), *measures]


def _alike(texts: Sequence[str]) -> float:
    """Percent of the texts that have a word of four letters or more in common with one of the ten before."""
    words = [{word for word in re.findall(r"\w+", text.lower()) if len(word) >= 4} for text in texts]
    shared = [bool(own & set().union(*words[max(0, place - SPACED) : place])) for place, own in enumerate(words)]
    return 100 * float(np.mean(shared[1:]))


if __name__ == "__main__":
    app()
