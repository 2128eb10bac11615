"""Trainings of one model that differ only in what they learn from, and their progress as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ml_backend.models.base import LabeledItems, Model, Targets, TrainingReport
from ml_backend.records import Progress, no_progress
from ml_backend.semi_supervised.graph import Floats

if TYPE_CHECKING:
    from ml_backend.models.main_directions import Near

WARM_STEPS: Final = 400
"""Training steps of a model that goes on from an earlier one."""


class Stages:
    """Progress of several trainings as one."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress, self._count, self._done = progress, count, 0

    def next(self) -> Progress:
        """What the next training is to report to."""
        before = self._done
        self._done += 1

        def report(done: int, total: int) -> None:
            whole = 1000 * self._count
            self._progress(min(round(1000 * (before + done / max(total, 1))), whole), whole)

        return report

    def skip(self) -> None:
        """A training that is not needed counts as done."""
        self.next()(1, 1)

    def end(self) -> None:
        """All are done: some that were counted were not needed."""
        self._progress(1000 * self._count, 1000 * self._count)


@dataclass(frozen=True)
class Recipe:
    """How a fit makes and trains its models, whatever they learn from."""

    make: Callable[[], Model]
    """A new model."""
    seed: int
    """Of all trainings."""
    hyperparameters: Mapping[str, Any] | None = None
    """Of the model."""
    evaluation: LabeledItems | None = None
    """Evaluation items, to choose by, to calibrate on and to take the validation loss of."""
    progress: Progress = no_progress
    """Called as the trainings go on."""

    def fitter(self, trainings: int, start: Model | None = None) -> PoolFitter:
        """What trains so many models, some of which may go on from ``start``."""
        stages = Stages(self.progress, trainings)
        return PoolFitter(self.make, self.seed, self.hyperparameters, stages, self.evaluation, start)


@dataclass(frozen=True)
class PoolFitter:
    """Trainings that differ only in what they learn from."""

    make: Callable[[], Model]
    seed: int
    hyperparameters: Mapping[str, Any] | None
    stages: Stages
    validation: LabeledItems | None = None
    """What whole trainings are watched on; nothing is learnt from it."""
    start: Model | None = None
    """An earlier model that `go_on` goes on from."""

    def fit(
        self,
        items: Sequence[Any],
        targets: Targets,
        most: int | None = None,
        *,
        weights: Floats | None = None,
        near: Near | None = None,
    ) -> tuple[Model, TrainingReport]:
        """A new model, trained for ``most`` steps at the most.

        ``weights`` say how much each item counts ``[N]``; ``near``: where an optimum is looked for from, see
        `LinearHead.fit`.
        """
        model = self.make()
        more: dict[str, Any] = {}
        if weights is not None and getattr(model, "weighs_items", False):
            more["weights"] = weights
        if near is not None:
            more["near"] = near
        return model, self._train(model, items, targets, most, watched=most is None, **more)

    def go_on(self, items: Sequence[Any], targets: Targets) -> tuple[Model, TrainingReport]:
        """A new model with the weights of ``start``, trained further for a short while; from scratch without one."""
        if self.start is None:
            return self.fit(items, targets)
        model = self.make()
        return model, self._train(model, items, targets, WARM_STEPS, watched=True, start=self.start)

    def _train(
        self, model: Model, items: Sequence[Any], targets: Targets, most: int | None, *, watched: bool, **more: Any
    ) -> TrainingReport:
        chosen = dict(self.hyperparameters or {})
        if most is not None and "steps" in model.hyperparameters():
            chosen["steps"] = min(int(chosen.get("steps") or most), most)
        return model.fit(
            items,
            targets,
            seed=self.seed,
            hyperparameters=chosen,
            validation=self.validation if watched else None,
            progress=self.stages.next(),
            **more,
        )

    def penalised(self, penalty: float) -> PoolFitter:
        """With this penalty, where the model would choose one itself and none is set."""
        given = dict(self.hyperparameters or {})
        if self.make().hyperparameters().get("penalty", penalty) is not None or given.get("penalty") is not None:
            return self
        return replace(self, hyperparameters=given | {"penalty": penalty})
