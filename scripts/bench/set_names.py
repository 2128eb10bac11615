"""Measure what the classes' names are worth where answers are sets, before there are many labels, and with some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from sklearn.metrics import f1_score, roc_auc_score

from bench.class_names import LABELS, told
from bench.timing import load
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.encoders.base import Rows
from ml_backend.encoders.registry import ENCODERS
from ml_backend.models.base import LabeledItems
from ml_backend.models.sentences import Sentences
from ml_backend.models.several import answers_of, new_model
from ml_backend.semi_supervised.choice import fit_with_pool
from ml_backend.semi_supervised.class_names import embedded
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.graph import Neighbourhood
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.semi_supervised.shares import rates_in_pool
from ml_backend.simulation.data import Source
from ml_backend.simulation.design import LabelledData
from ml_backend.strategies.auto_sets import auto_of_sets

HELD_OUT: Final = 700
BATCH: Final = 4
"""Labels between two looks of the strategy."""
ARMS: Final = ("without names", "names", "names of other classes")

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path, typer.Option(help="Folder with ag_news/.")],
    items: Annotated[int, typer.Option(min=300, help="Texts in the pool, at the most.")] = 700,
    seeds: Annotated[int, typer.Option(min=2, help="Splits into pool and held-out texts.")] = 5,
    encoder: Annotated[str, typer.Option(help="Encoder of the texts.")] = "minilm",
) -> None:
    """Mean F-score of the classes and mean AUC on texts held out, mean of the splits and its 95 % interval.

    Of the model that the product fits to the labels that `auto` asks for and the pool. The last arm gives each class
    the name of another: what a name does that is wrong.
    """
    console.print(f"Pool of at most {items:,}, {seeds} splits, {encoder} {load()}")
    news = Source("news_sets", data).load()
    measured = np.array([_split(news, items, encoder, seed) for seed in range(seeds)])  # [S, A, labels, 2]
    for place, measure in enumerate(("macro F", "AUC")):
        table = Table(f"News, {measure}", *(f"{n} labels" for n in LABELS))
        runs = np.moveaxis(measured[..., place], 1, 0)
        for arm, own in zip(ARMS, runs, strict=True):
            table.add_row(arm, *(told(column) for column in own.T))
        for arm, own in zip(ARMS[1:], runs[1:], strict=True):
            table.add_row(f"{arm}, gained", *(told(column, signed=True) for column in (own - runs[0]).T))
        console.print(table)


def _split(data: LabelledData, items: int, encoder: str, seed: int) -> list[list[tuple[float, float]]]:
    order = np.random.default_rng(300 + seed).permutation(len(data.items))
    held_out, pool = order[:HELD_OUT], order[HELD_OUT:][:items]
    texts, sets = [data.items[i] for i in pool], data.targets[pool]
    judged = LabeledItems([data.items[i] for i in held_out], data.targets[held_out])
    embedding = PoolEmbedding.learn(ENCODERS[encoder], texts, seed=seed)
    named = embedded(embedding.encoder, data.labels)
    asked = _asked(embedding, texts, sets, seed)
    known = [LabeledItems([texts[i] for i in asked[:n]], sets[asked[:n]]) for n in LABELS]
    arms = (None, named, None if named is None else np.roll(named, 1, axis=0))
    return [[_worth(data, texts, each, judged, embedding, names, seed) for each in known] for names in arms]


def _asked(embedding: PoolEmbedding, texts: list[Any], sets: NDArray[np.int64], seed: int) -> list[int]:
    """Positions in the pool that `auto` asks for, each `BATCH` after the answers to those before."""
    asked: list[int] = []
    rng, nodes = np.random.default_rng([seed, 8]), embedding.places(texts)
    while len(asked) < max(LABELS):
        done = np.array(asked, dtype=np.int64)
        left = np.setdiff1d(np.arange(len(texts)), done)
        coordinates = embedding.coordinates
        graph = Neighbourhood(
            embedding.weights,
            lambda: coordinates,  # noqa: B023 (the same in each turn)
            nodes[left],
            nodes[done],
            sets[done],
            _rates(embedding, texts, LabeledItems([texts[i] for i in asked], sets[done])),
            rows=embedding.rows,
        )
        asked += left[auto_of_sets(graph, BATCH, rng).order].tolist()
    return asked


def _rates(embedding: PoolEmbedding, texts: list[Any], known: LabeledItems) -> NDArray[np.float64]:
    return rates_in_pool(embedding, texts, known, np.zeros(len(known.items), np.bool_))


def _worth(
    data: LabelledData,
    texts: list[Any],
    known: LabeledItems,
    judged: LabeledItems,
    embedding: PoolEmbedding,
    names: Rows | None,
    seed: int,
) -> tuple[float, float]:
    """Macro F and mean AUC of the product's model of these labels, in percent."""
    model = fit_with_pool(
        Recipe(
            lambda: new_model(Sentences, data.labels, multiple=True),
            seed=seed,
            hyperparameters={"encoder": embedding.encoder.name},
        ),
        known,
        texts,
        Unlabelled(embedding, _rates(embedding, texts, known), names=names),
    ).model
    said = model.probabilities(judged.items)[:, 0]
    f = f1_score(judged.targets, answers_of(model, said), average="macro", zero_division=0)
    return 100 * float(f), 100 * float(roc_auc_score(judged.targets, said, average="macro"))


if __name__ == "__main__":
    app()
