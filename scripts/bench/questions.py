"""Measure several questions learnt at once beside each learnt alone: accuracy, of sets macro F, with as many labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from bench import options
from bench.learning import paired
from bench.timing import load
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.config import ProjectSettings
from ml_backend.encoders import feature_store
from ml_backend.encoders.registry import AUTO, choose_encoder
from ml_backend.evaluation.sets import evaluate_sets
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.models.base import Model
from ml_backend.models.photos import Photos
from ml_backend.models.several import answers_of, new_model
from ml_backend.rounds.question_order import QuestionRanking, in_turn
from ml_backend.selection.context import QueryContext
from ml_backend.selection.select import arrange, assess
from ml_backend.semi_supervised.choice import OpenItems, fit
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.semi_supervised.shares import class_prior, rates_in_pool
from ml_backend.simulation.data import Source
from ml_backend.simulation.design import Design, LabelledData
from ml_backend.simulation.oracle import Oracle
from ml_backend.simulation.photo_table import FOLDER, read_photographs
from ml_backend.simulation.picture_items import read_pictures
from ml_backend.store.heads import Head

STEPS: Final = (20, 80, 140, 200)
"""Labels of each training; the first are drawn by chance."""
PACKAGED: Final = ("Juice", "Milk", "Soy-Milk", "Yoghurt")
RULES: Final = ("money", "violence")
"""Of `simulation.news_sets`."""
SETS: Final = ("texts", "texts, a set", "photographs")

app = new_app()
Positions = NDArray[np.int64]


@app.command()
@tell_errors
def main(
    data: Annotated[Path, typer.Option(help="Folder with ag_news/ and groceries/.")],
    items: Annotated[int, typer.Option(min=200, help="Most items of a data set, those that judge included.")] = 2_500,
    seeds: Annotated[int, typer.Option(min=2, help="Runs, each with a draw of its own.")] = 5,
    labels: Annotated[int, typer.Option(min=20, help="Labels at the end, at the most 200.")] = STEPS[-1],
    only: Annotated[list[str] | None, typer.Option(help=f"Of: {', '.join(SETS)}. [default: all]")] = None,
    keep: Annotated[Path | None, options.KEEP] = None,
) -> None:
    """Accuracy on held-out items with as many labels: each question alone by its own order, all by the order in turn.

    Of a question of several choices macro F.

    The gap is paired by seed, with its 95 % interval (Student). By chance: the same with labels drawn at random.
    """
    feature_store.use(keep)
    header = ("set", "question", "labels", "alone", "together", "gap, points", "by chance")
    table = Table(*header, title=f"several questions at once, {seeds} seeds {load()}")
    for name in only or SETS:
        asked = _photographs(data, items) if name == "photographs" else _texts(data, items, as_set="set" in name)
        for row in _measured(name, asked, [step for step in STEPS if step <= labels], seeds):
            table.add_row(*row)
    console.print(table)


def _texts(data: Path, most: int, *, as_set: bool) -> list[LabelledData]:
    """AG's news: the topic, and what rules on words answer, two questions of yes and no or one of several choices."""
    read = Source("news_sets", data).load()
    topics = len(read.labels) - 3
    kept = np.random.default_rng(0).permutation(len(read.items))[:most]
    every = [read.items[place] for place in kept.tolist()]
    topic = replace(read, name="topic", labels=read.labels[:topics], items=every)
    asked = [replace(topic, targets=read.targets[kept, :topics].argmax(axis=1))]
    if as_set:
        return [*asked, replace(topic, name="rules", labels=read.labels[topics:], targets=read.targets[kept, topics:])]
    for rule in RULES:
        told = read.targets[kept, read.labels.index(rule)]
        asked.append(replace(topic, name=rule, labels=("no", "yes"), targets=told))
    return asked


def _photographs(data: Path, most: int) -> list[LabelledData]:
    """The grocery photographs: what it is, and whether that comes packaged."""
    rows = read_photographs(data)
    rows = [rows[place] for place in np.sort(np.random.default_rng(0).permutation(len(rows))[:most]).tolist()]
    items = read_pictures(Photos.reader({}), [(data / FOLDER / row.path).read_bytes() for row in rows])
    labels = tuple(sorted({row.label for row in rows}))
    targets = np.array([labels.index(row.label) for row in rows], dtype=np.int64)
    test = np.flatnonzero([row.test for row in rows]).astype(np.int64)
    kind = LabelledData("class", Photos, labels, items, targets, test=test)
    packaged = np.isin(np.array(labels), PACKAGED)[targets].astype(np.int64)
    return [kind, replace(kind, name="packaged", labels=("no", "yes"), targets=packaged)]


def _measured(name: str, asked: Sequence[LabelledData], steps: Sequence[int], seeds: int) -> Iterator[Sequence[str]]:
    alone, together, chance = (np.zeros((seeds, len(asked))) for _ in range(3))
    for seed in range(seeds):
        messages.print(f"{name}: seed {seed} ...")
        embedding = _embedding(asked[0], seed)
        together[seed] = _run(asked, steps, seed, embedding)
        alone[seed] = [_run([question], steps, seed, embedding)[0] for question in asked]
        chance[seed] = _run(asked, [steps[-1]], seed, embedding)
    for place, question in enumerate(asked):
        gap, half = paired(together[:, place], alone[:, place])
        shares = [f"{100 * rows[:, place].mean():.1f} %" for rows in (alone, together, chance)]
        yield (
            name,
            question.name + (", macro F" if question.multiple else ""),
            str(steps[-1]),
            *shares[:2],
            f"{100 * gap:+.1f} ± {100 * half:.1f}",
            shares[2],
        )


def _design(data: LabelledData, steps: Sequence[int]) -> Design:
    count = min(1_000, len(data.items) // 2 if data.test is None else len(data.test))
    return Design(held_out=count, initial=steps[0], batch=1, budget=steps[-1])


def _embedding(data: LabelledData, seed: int) -> PoolEmbedding:
    """Of the pool, learnt without labels: one for all questions, as in a round."""
    encoder, why = choose_encoder(getattr(data.model, "embedding", AUTO), data.model.object_tag)
    if encoder is None:
        raise AssertionError(why)
    oracle = Oracle(data, _design(data, STEPS[:1]), seed)
    return PoolEmbedding.learn(encoder, oracle.items(oracle.pool), seed=seed)


def _run(asked: Sequence[LabelledData], steps: Sequence[int], seed: int, embedding: PoolEmbedding) -> list[float]:
    """Accuracy of each question with the last number of labels, which the questions ask for in turn."""
    oracles = [Oracle(question, _design(question, steps), seed) for question in asked]
    for oracle in oracles:
        oracle.label(oracle.first)
    for before, after in pairwise(steps):
        picked = _picked(oracles, after - before, seed, embedding)
        for oracle in oracles:
            oracle.label(picked)
    return [_accuracy(oracle, _fitted(oracle, seed, embedding)) for oracle in oracles]


def _known(oracle: Oracle, embedding: PoolEmbedding) -> Unlabelled:
    data, labelled, drawn = oracle.data, oracle.labelled, frozenset(oracle.first.tolist())
    if data.multiple:
        by_chance = np.isin(labelled, oracle.first)
        rates = rates_in_pool(embedding, oracle.items(oracle.pool), oracle.known(labelled), by_chance)
        return Unlabelled(embedding, rates, drawn)
    return Unlabelled(embedding, class_prior(len(data.labels), data.targets[oracle.first]), drawn)


def _fitted(oracle: Oracle, seed: int, embedding: PoolEmbedding) -> Model:
    data, labelled = oracle.data, oracle.labelled
    return fit(
        Recipe(
            lambda: new_model(data.model, data.labels, multiple=data.multiple),
            seed=seed,
            hyperparameters={"encoder": data.encoder} if data.encoder else {},
        ),
        oracle.known(labelled),
        labelled.tolist(),
        OpenItems(len(oracle.open), lambda: oracle.items(oracle.pool), _known(oracle, embedding)),
    ).model


def _picked(oracles: Sequence[Oracle], count: int, seed: int, embedding: PoolEmbedding) -> Positions:
    """The next tasks: by the order of one question, or of all in turn."""
    settings = ProjectSettings().override({"seed": seed, "control_share": 0}, where="Benchmark")
    heard = []
    for oracle in oracles:
        model = _fitted(oracle, seed, embedding)
        context = QueryContext(
            model,
            oracle.items(oracle.open),
            oracle.open,
            settings,
            classes=len(oracle.data.labels),
            labelled=oracle.known(oracle.labelled),
            unlabelled=_known(oracle, embedding),
            multiple=oracle.data.multiple,
        )
        scores = assess(context)
        if scores is None:
            raise AssertionError("a fitted model scores")
        question = ChoiceQuestion(oracle.data.name, "", "", "", oracle.data.labels, multiple=oracle.data.multiple)
        order = arrange(context, scores, count=count)
        heard.append(QuestionRanking(Head(question, model, 1.0, True), context.task_ids, scores, context, order))
    first = heard[0].order
    if first is None:
        raise AssertionError("each has an order")
    return in_turn(first, 1.0, heard[1:]).task_ids if len(heard) > 1 else first.task_ids


def _accuracy(oracle: Oracle, model: Model) -> float:
    held_out = oracle.held_out
    said, targets = model.probabilities(oracle.items(held_out)).mean(axis=1), oracle.data.targets[held_out]
    own = answers_of(model, said)
    if oracle.data.multiple:
        return evaluate_sets(said, targets, oracle.data.labels, own).f_macro
    return float((own == targets).mean())


if __name__ == "__main__":
    app()
