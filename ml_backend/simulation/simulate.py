"""Active learning with an oracle in place of people: the loop's fit, judge, score and rank, without Label Studio."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ml_backend.config import ProjectSettings
from ml_backend.encoders.registry import AUTO, ENCODERS, choose_encoder
from ml_backend.errors import DataError, StoreError
from ml_backend.evaluation.metrics import evaluate
from ml_backend.evaluation.sets import evaluate_sets
from ml_backend.models.base import Model
from ml_backend.models.several import answers_of, class_counts, new_model
from ml_backend.rounds.judging import choose_thresholds
from ml_backend.selection.context import wants
from ml_backend.semi_supervised.choice import Fit, OpenItems, fit
from ml_backend.semi_supervised.class_names import embedded
from ml_backend.semi_supervised.earlier import Earlier, goes_on
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled, made_of
from ml_backend.semi_supervised.shares import class_prior, rates_in_pool
from ml_backend.simulation.choose import answered_one_by_one, choose
from ml_backend.simulation.design import MEASURES, Design, LabelledData, Round
from ml_backend.simulation.oracle import Oracle
from ml_backend.simulation.pool_search import PoolSearch
from ml_backend.strategies.picks import Positions


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
    run = _begin(data, design, strategy, seed, embeddings)
    number = run.catch_up(done)
    while True:
        entry = run.round(number, clock)
        yield entry
        number += 1
        if not entry.picked:
            return


@dataclass
class _Run:
    """One run under way: its oracle changes, and the version that the next training may go on from."""

    data: LabelledData
    design: Design
    strategy: str
    seed: int
    oracle: Oracle
    settings: ProjectSettings
    unlabelled: Unlabelled | None
    judges: Positions
    """Held-out items that the models are measured on."""
    earlier: Earlier | None = None
    outside: PoolSearch | None = None
    """Finds the candidates, where not all items are compared."""

    def ask_first(self) -> None:
        """The first labels, and more until there are two classes: as in the loop, the order is random before that.

        Raises:
            DataError: the budget ends before.
        """
        oracle, design = self.oracle, self.design
        oracle.label(self._choose(None, design.initial) if design.cold else oracle.first)
        while oracle.classes < 2:
            count = len(oracle.labelled)
            if count >= design.budget:
                raise DataError(
                    f"{self.data.name}: the first {count} labels of seed {self.seed} are all of one class; add some"
                )
            oracle.label(self._choose(None, min(design.batch, design.budget - count)))

    def catch_up(self, done: Sequence[Round]) -> int:
        """Label what earlier rounds asked for, and train again what the next one may go on from; its number."""
        known = [entry for entry in done if entry.picked]  # a run's last round picked nothing: it may have to go on
        if not known:
            return 0
        last = known[-1]
        for entry in known:
            if self.outside is not None:
                self.outside.search(self._fit().model)
            elif entry.round >= last.round - last.in_a_row and self._can_go_on():
                self._fit()
            self.oracle.label(entry.picked)
        return last.round + 1

    def _can_go_on(self) -> bool:
        return self.unlabelled is not None and goes_on(self._new_model(), self.design.hyperparameters) > 0

    def round(self, number: int, clock: Callable[[], float]) -> Round:
        """Train, judge, choose, ask."""
        oracle, count = self.oracle, len(self.oracle.labelled)
        wanted = min(self.design.batch, self.design.budget - count)
        started = clock()
        found = self._fit()
        fitted = clock()
        model, measures = found.model, self._measure(found.model)
        judged = clock()
        ask = answered_one_by_one if self.design.instant else choose
        picked = self._choose(model, wanted, ask) if wanted > 0 else np.zeros(0, np.int64)
        oracle.label(picked)
        times = (fitted - started, clock() - judged)
        return Round(
            *(self.strategy, self.seed, number, count, measures, *times),
            picked=tuple(picked.tolist()),
            learnt_from=found.learnt_from,
            in_a_row=found.in_a_row,
        )

    def _choose(self, model: Model | None, count: int, ask: Callable[..., Positions] = choose) -> Positions:
        if self.outside is None:
            return ask(model, self.oracle, count, self.settings, self._known())
        self.outside.search(model)
        return ask(model, self.oracle, count, self.settings, self.outside.unlabelled(), self.outside.open)

    def _new_model(self) -> Model:
        return new_model(self.data.model, self.data.labels, multiple=self.data.multiple)

    def _known(self) -> Unlabelled | None:
        """The pool's embedding, with what the labels so far say of the classes' rates, where answers are sets."""
        if self.unlabelled is None or not self.data.multiple:
            return self.unlabelled
        oracle, labels = self.oracle, self.oracle.labelled
        by_chance = np.isin(labels, sorted(self.unlabelled.drawn)) | (self.strategy == "random")
        embedding, known = self.unlabelled.embedding, oracle.known(labels)
        return replace(self.unlabelled, prior=rates_in_pool(embedding, oracle.items(oracle.pool), known, by_chance))

    def _fit(self) -> Fit:
        """A model of the labels and, where it is large enough, the pool; the next one may go on from it."""
        data, oracle, labels = self.data, self.oracle, self.oracle.labelled
        read_through = {"encoder": data.encoder} if data.encoder else {}
        if self.outside is not None and not len(self.outside.candidates):
            self.outside.search(None)
        pool = oracle.pool if self.outside is None else self.outside.pool
        found = fit(
            Recipe(
                self._new_model,
                seed=self.seed,
                hyperparameters={**read_through, **self.design.hyperparameters},
                evaluation=oracle.known(oracle.evaluation),
            ),
            oracle.known(labels),
            labels.tolist(),
            OpenItems(
                len(pool) - len(labels),
                lambda: oracle.items(pool),
                self._known() if self.outside is None else self.outside.unlabelled(),
            ),
            earlier=self.earlier,
        )
        choose_thresholds(found.model, oracle.known(oracle.evaluation))
        counts = class_counts(data.targets[labels], len(data.labels))
        earlier = Earlier(lambda: found.model, found.learnt_from, counts, found.training.examples, found.in_a_row)
        self.earlier = earlier
        return found

    def _measure(self, model: Model) -> dict[str, float | None]:
        probabilities = model.probabilities(self.oracle.items(self.judges)).mean(axis=1, dtype=np.float64)
        targets, labels = self.data.targets[self.judges], self.data.labels
        if self.data.multiple:
            metrics = evaluate_sets(probabilities, targets, labels, answers_of(model, probabilities))
        else:
            metrics = evaluate(probabilities, targets, labels)
        return {name: getattr(metrics, name) for name in MEASURES}


def _begin(data: LabelledData, design: Design, strategy: str, seed: int, embeddings: Path | None) -> _Run:
    """A run with its first labels."""
    oracle = Oracle(data, design, seed)
    changes = {"strategy": strategy, "samples": design.samples, "seed": seed, "control_share": design.control_share}
    settings = ProjectSettings().override(changes, where="Simulation")
    steers = "validation" in wants(settings, trained=True)
    judges = np.setdiff1d(oracle.held_out, oracle.steering) if steers else oracle.held_out
    unlabelled = _unlabelled(data, design, oracle, seed, embeddings) if design.learn_from_pool else None
    run = _Run(data, design, strategy, seed, oracle, settings, unlabelled, judges)
    if design.candidates:
        settings = settings.override({"queue_size": design.batch}, where="Simulation")
        run.outside = PoolSearch(data, oracle, settings, unlabelled, design.candidates, data.encoder)
    run.ask_first()
    return run


def _unlabelled(
    data: LabelledData, design: Design, oracle: Oracle, seed: int, folder: Path | None
) -> Unlabelled | None:
    """The pool's embedding, learnt without labels or read where an earlier run left it; None where none can be had."""
    named = str(design.hyperparameters.get("encoder", data.encoder))
    usual = named if named in ENCODERS else getattr(data.model, "embedding", AUTO)
    encoder, _ = choose_encoder(usual if design.embedding == AUTO else design.embedding, data.model.object_tag)
    if encoder is None:
        return None
    first = oracle.first if not design.cold else oracle.labelled
    drawn = frozenset(first.tolist())
    prior = np.full(len(data.labels), 0.5) if data.multiple else class_prior(len(data.labels), data.targets[first])
    items = oracle.items(oracle.pool)
    path = folder / f"embedding-{encoder.name}-{seed}.safetensors" if folder else None
    if path is not None and path.exists():
        try:
            kept = PoolEmbedding.load(path)
            if kept.made_of == made_of(encoder, seed, None) and kept.knows(items):  # else read through another network
                return Unlabelled(kept, prior, drawn, embedded(kept.encoder, data.labels))
        except StoreError:
            pass  # half a file, or of another release: it is computed again
    embedding = PoolEmbedding.learn(encoder, items, seed=seed)
    if path is not None:
        embedding.save(path)
    return Unlabelled(embedding, prior, drawn, embedded(embedding.encoder, data.labels))
