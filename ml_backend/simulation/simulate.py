"""Active learning with an oracle in place of people: the loop's fit, judge, score and rank, without Label Studio.

Axes: ``N`` labelled items, of which some are held out to judge, some are the first labels, and the rest is the pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.encoders.registry import AUTO, choose_encoder
from ml_backend.errors import DataError, StoreError
from ml_backend.evaluation.metrics import Metrics, evaluate
from ml_backend.instant.queue import InstantQueue
from ml_backend.models.base import LabeledItems, Model
from ml_backend.records import Prediction
from ml_backend.selection.build_inputs import neighbourhood
from ml_backend.selection.context import QueryContext, wants
from ml_backend.selection.ordering import queue_scores
from ml_backend.selection.select import arrange, assess, select
from ml_backend.semi_supervised.choice import FEWEST_OPEN, class_prior, fit_labels, fit_with_pool
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled, made_of
from ml_backend.strategies.auto import is_cold

Positions = NDArray[np.int64]

MEASURES = ("accuracy", "f_macro", "f_positive", "auc", "nll", "ece")
"""Fields of ``Metrics`` that a round keeps."""


@dataclass(frozen=True, eq=False)
class LabelledData:
    """Items whose labels are known: what the oracle answers from."""

    name: str
    model: type[Model]
    labels: tuple[str, ...]
    items: Sequence[Any]
    """``N`` items, as the model's ``read_item`` returns them."""
    targets: NDArray[np.int64]
    """Indices into ``labels [N]``."""
    source: str = ""


@dataclass(frozen=True)
class Design:
    """How a simulation proceeds; the same for all strategies and seeds."""

    held_out: int
    """Items that judge every model."""
    initial: int
    """First labels."""
    batch: int
    """Labels between two trainings."""
    budget: int
    """Labels at which a run ends."""
    cold: bool = False
    """Whether the strategy chooses the first labels too, without a model; else they are drawn at random."""
    samples: int = 20
    learn_from_pool: bool = True
    """Whether models learn from unlabelled items too, and strategies go by an embedding learnt without labels."""
    control_share: float = 0.0
    """Share of each batch that is drawn at random; the loop's setting, 0 here to see the strategy alone."""
    instant: bool = False
    """Whether each answer of a batch changes what comes next in it, as the instant loop does between two rounds."""
    evaluation: int = 0
    """Items beside the held-out ones that each round knows the labels of, as it does of evaluation tasks: whether to
    learn from the pool is decided on them, and probabilities are calibrated on them."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    def check(self, size: int) -> None:
        """Refuse what ``size`` items cannot do.

        Raises:
            DataError: a count below one, or more items wanted than there are.
        """
        for name in ("held_out", "initial", "batch", "budget"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.initial > self.budget:
            raise DataError(f"{self.initial:,} first labels are more than the budget of {self.budget:,}")
        if self.held_out + self.evaluation + self.budget > size:
            raise DataError(
                f"{self.held_out + self.evaluation:,} held-out items and a budget of {self.budget:,} labels do not fit "
                f"into {size:,} labelled items; lower one of them"
            )


@dataclass(frozen=True)
class Round:
    """One training of one run, judged on the held-out items."""

    strategy: str
    seed: int
    round: int
    labels: int
    """Labels trained on."""
    measures: Mapping[str, float | None]
    fit_seconds: float
    select_seconds: float
    """Scoring the open items and choosing from them."""
    picked: tuple[int, ...] = ()
    """Positions that were labelled after it; empty at the end of a run."""
    learnt_from: str = "labels"
    """``pool``, or ``labels`` alone."""


class Oracle:
    """The state of one run: what is held out, labelled and open."""

    def __init__(self, data: LabelledData, design: Design, seed: int) -> None:
        design.check(len(data.items))
        order = np.random.default_rng(seed).permutation(len(data.items)).astype(np.int64)
        self.data = data
        self.held_out: Positions = order[: design.held_out]
        rest = order[design.held_out :]
        self.evaluation, rest = rest[: design.evaluation], rest[design.evaluation :]
        self._open = np.zeros(len(order), dtype=bool)
        self._open[rest] = True
        self._labelled = np.zeros(len(order), dtype=bool)
        self.first: Positions = rest[: design.initial]
        """A random draw, the same for all strategies with this seed."""

    @property
    def labelled(self) -> Positions:
        """Labelled positions, rising: the order in which the loop reads tasks."""
        return np.flatnonzero(self._labelled)

    @property
    def open(self) -> Positions:
        """Positions in the pool, rising."""
        return np.flatnonzero(self._open)

    @property
    def steering(self) -> Positions:
        """Half of the held-out items: what strategies that look at evaluation items get to see.

        Such a strategy is judged on the other half alone: it asks for more of what the model gets wrong there.
        """
        return self.held_out[: len(self.held_out) // 2]

    @property
    def pool(self) -> Positions:
        """All that can be labelled or is, rising."""
        return np.flatnonzero(self._open | self._labelled)

    @property
    def classes(self) -> int:
        """Different labels seen so far."""
        return len(np.unique(self.data.targets[self.labelled]))

    def items(self, positions: Positions) -> list[Any]:
        """Items at positions."""
        return [self.data.items[i] for i in positions]

    def known(self, positions: Positions) -> LabeledItems:
        """Items at positions with their labels."""
        return LabeledItems(self.items(positions), self.data.targets[positions])

    def label(self, positions: Sequence[int] | Positions) -> None:
        """Answer these."""
        self._labelled[np.asarray(positions, dtype=np.int64)] = True
        self._open[np.asarray(positions, dtype=np.int64)] = False


def simulate(
    data: LabelledData,
    design: Design,
    strategy: str,
    seed: int,
    *,
    done: Sequence[Round] = (),
    embeddings: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Round]:
    """One run: train, judge, choose, ask the oracle, until the budget is spent; yields each round as it ends.

    Args:
        data: the labelled items.
        design: how to proceed.
        strategy: a registered strategy.
        seed: fixes the held-out items, the first labels, the trainings and all draws.
        done: rounds of this run that are known already; it goes on after them and ends as if never interrupted.
        embeddings: folder that keeps embeddings learnt without labels, for runs with the same seed; None: nowhere.
        clock: seconds, for the rounds' times.

    Raises:
        DataError: the design does not fit the data. ModelError, AcquisitionError: as in a round of the loop.
    """
    oracle = Oracle(data, design, seed)
    changes = {"strategy": strategy, "samples": design.samples, "seed": seed, "control_share": design.control_share}
    settings = ProjectSettings().override(changes, where="Simulation")
    steers = "validation" in wants(settings, trained=True)
    unlabelled = _unlabelled(data, design, oracle, seed, embeddings) if design.learn_from_pool else None
    judges = np.setdiff1d(oracle.held_out, oracle.steering) if steers else oracle.held_out
    oracle.label(choose(None, oracle, design.initial, settings, unlabelled) if design.cold else oracle.first)
    while oracle.classes < 2:  # as in the loop: nothing to train on, so the order is random
        count = len(oracle.labelled)
        if count >= design.budget:
            raise DataError(f"{data.name}: the first {count} labels of seed {seed} are all of one class; add some")
        oracle.label(choose(None, oracle, min(design.batch, design.budget - count), settings, unlabelled))
    known = [known for known in done if known.picked]  # a run's last round picked nothing: it may have to go on
    for entry in known:
        oracle.label(entry.picked)
    number = known[-1].round + 1 if known else 0
    while True:
        labels, count = oracle.labelled, len(oracle.labelled)
        wanted = min(design.batch, design.budget - count)
        started = clock()
        model, learnt_from = _fit(data, design, oracle, labels, seed, unlabelled)
        fitted = clock()
        measures = _measures(_judge(model, judges, oracle))
        judged = clock()
        ask = answered_one_by_one if design.instant else choose
        picked = ask(model, oracle, wanted, settings, unlabelled) if wanted > 0 else np.zeros(0, np.int64)
        oracle.label(picked)
        times = (fitted - started, clock() - judged)
        yield Round(strategy, seed, number, count, measures, *times, tuple(picked.tolist()), learnt_from)
        number += 1
        if not len(picked):
            return


def _unlabelled(
    data: LabelledData, design: Design, oracle: Oracle, seed: int, folder: Path | None
) -> Unlabelled | None:
    """The pool's embedding, learnt without labels or read where an earlier run left it; None where none can be had."""
    encoder, _ = choose_encoder(AUTO, data.model.object_tag)
    if encoder is None:
        return None
    first = oracle.first if not design.cold else oracle.labelled
    prior, drawn = class_prior(len(data.labels), data.targets[first]), frozenset(first.tolist())
    items = oracle.items(oracle.pool)
    path = folder / f"embedding-{encoder.name}-{seed}.safetensors" if folder else None
    if path is not None and path.exists():
        try:
            kept = PoolEmbedding.load(path)
            if kept.made_of == made_of(encoder, seed, None):
                return Unlabelled(kept.extended(items), prior, drawn)
        except StoreError:
            pass  # half a file, or of another release: it is computed again
    embedding = PoolEmbedding.learn(encoder, items, seed=seed)
    if path is not None:
        embedding.save(path)
    return Unlabelled(embedding, prior, drawn)


def _fit(
    data: LabelledData,
    design: Design,
    oracle: Oracle,
    labels: Positions,
    seed: int,
    unlabelled: Unlabelled | None,
) -> tuple[Model, str]:
    if unlabelled is not None and len(oracle.open) >= FEWEST_OPEN:
        found = fit_with_pool(
            lambda: data.model(data.labels),
            oracle.known(labels),
            oracle.items(oracle.pool),
            unlabelled,
            seed=seed,
            drawn=np.array([position in unlabelled.drawn for position in labels.tolist()], dtype=np.bool_),
            evaluation=oracle.known(oracle.evaluation),
            hyperparameters=design.hyperparameters,
        )
        return found.model, found.learnt_from
    model, _ = fit_labels(
        lambda: data.model(data.labels),
        oracle.known(labels),
        seed=seed,
        evaluation=oracle.known(oracle.evaluation),
        hyperparameters=design.hyperparameters,
    )
    return model, "labels"


def choose(
    model: Model | None,
    oracle: Oracle,
    count: int,
    settings: ProjectSettings,
    unlabelled: Unlabelled | None = None,
) -> Positions:
    """The next positions to label, by the code that makes the loop's queue; without a model, its cold start."""
    context = _context(model, oracle, settings, unlabelled)
    return context.task_ids[select(context, count=count, turn=len(context)).order]


def answered_one_by_one(
    model: Model | None,
    oracle: Oracle,
    count: int,
    settings: ProjectSettings,
    unlabelled: Unlabelled | None = None,
) -> Positions:
    """The same where each answer moves what comes next in the queue, by the code of the instant loop."""
    context = _context(model, oracle, settings, unlabelled)
    scores = assess(context)
    chosen = arrange(context, scores, count=settings.queue_size, turn=len(context))
    positions, places = context.task_ids[chosen.order], queue_scores(chosen.utility)
    known = context.labelled
    if unlabelled is None or known is None or is_cold(len(known.targets), oracle.classes, context.classes):
        return positions[:count]
    rows = [
        Prediction(int(position), None, 0.0, float(score), picked_by)
        for position, score, picked_by in zip(positions, places, chosen.picked_by, strict=True)
    ]
    queue = InstantQueue(neighbourhood(context.items, known, unlabelled, scores), context.task_ids, rows)
    asked: list[int] = []
    while len(asked) < count and (task := queue.served.give(None)) is not None:
        asked.append(task)
        queue.take_in(task, int(oracle.data.targets[task]), None)
        if swap := queue.swap():
            queue.served.apply(swap)
    return np.array(asked, dtype=np.int64)


def _context(
    model: Model | None, oracle: Oracle, settings: ProjectSettings, unlabelled: Unlabelled | None
) -> QueryContext:
    candidates = oracle.open
    wanted = wants(settings, trained=model is not None)
    return QueryContext(
        model,
        oracle.items(candidates),
        candidates,
        settings,
        classes=len(oracle.data.labels),
        labelled=oracle.known(oracle.labelled) if "labelled" in wanted else None,
        validation=oracle.known(oracle.steering) if "validation" in wanted else None,
        unlabelled=unlabelled,
    )


def _judge(model: Model, positions: Positions, oracle: Oracle) -> Metrics:
    probabilities = model.probabilities(oracle.items(positions)).mean(axis=1, dtype=np.float64)
    return evaluate(probabilities, oracle.data.targets[positions], oracle.data.labels)


def _measures(metrics: Metrics) -> dict[str, float | None]:
    return {name: getattr(metrics, name) for name in MEASURES}
