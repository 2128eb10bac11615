"""How good a version is: measured on the evaluation tasks, and compared with the version in use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml_backend.errors import ConfigurationError, ModelError, StoreError
from ml_backend.evaluation.promotion import Comparison, compare, evaluation_fingerprint, is_promoted
from ml_backend.models.base import Model
from ml_backend.models.several import equal_answers
from ml_backend.rounds.evaluation_tasks import too_few_evaluated
from ml_backend.rounds.guessing import by_evaluation
from ml_backend.rounds.judging import answered, measured
from ml_backend.rounds.project import RoundProject, read_labelled
from ml_backend.rounds.version_reading import reads_alike
from ml_backend.rounds.workspace import Run
from ml_backend.store.evaluation_predictions import EvaluationPredictions, evaluation_predictions
from ml_backend.store.versions import answers


@dataclass(frozen=True)
class Verdict:
    """What the evaluation tasks say about a version; empty without any."""

    evaluation_predictions: EvaluationPredictions | None = None
    metrics: dict[str, Any] | None = None
    count: int = 0
    fingerprint: str | None = None
    comparison: Comparison | None = None
    guessing: dict[str, Any] | None = None

    @property
    def measures(self) -> dict[str, Any]:
        """What was measured about the version itself, as fields of a manifest."""
        return {
            "metrics": self.metrics,
            "evaluation_count": self.count,
            "evaluation_fingerprint": self.fingerprint,
            "guessing": self.guessing,
        }

    def as_fields(self, margin: float | None) -> dict[str, Any]:
        """Everything, including the comparison, as fields of a manifest."""
        comparison = asdict(self.comparison) if self.comparison else None
        return self.measures | {"promoted": is_promoted(self.comparison, margin), "comparison": comparison}


def judge(project: RoundProject, model: Model, rival: str | None, run: Run) -> Verdict:
    """Measure a model, and compare it with the stored version ``rival`` on the same tasks."""
    held_out = project.pool.evaluation
    if not held_out:
        run.warn(f"Nothing is measured. It {too_few_evaluated(0, project.pool.held_out)}.", "evaluation")
        return Verdict()
    with run.step("judge") as step:
        examples, task_ids = read_labelled(held_out, project, run.report)
        if not examples.items:
            run.warn("None of the evaluation tasks can be read; nothing is measured.")
            return Verdict()
        targets = examples.targets
        probabilities = model.probabilities(examples.items).mean(axis=1, dtype=np.float64)
        seed = project.settings.seed
        own = answered(model, probabilities, targets, seed=seed)
        judged = evaluation_predictions(task_ids, targets, probabilities, own)
        metrics = measured(probabilities, targets, own, project.question.labels, seed=seed)
        step.detail = f"{len(targets)} evaluation tasks, accuracy {metrics['accuracy']:.1%}"
        comparison = None
        before = _rival_model(project, rival, run)
        if rival and before:
            says = before.probabilities(examples.items).mean(axis=1, dtype=np.float64)
            its_own = answered(before, says, targets, seed=seed)
            right = equal_answers(own, targets), equal_answers(its_own, targets)
            comparison = compare(*right, against=rival)
    guessing = by_evaluation(project, judged)
    return Verdict(judged, metrics, len(targets), evaluation_state(project), comparison, guessing)


def _rival_model(project: RoundProject, rival: str | None, run: Run) -> Model | None:
    """The stored model to compare with, if it answers the present question from the same items."""
    store = project.store
    try:
        if rival is None or rival not in store.versions() or not answers(store.manifest(rival), project.question):
            return None
        if project.vector_length not in (0, store.manifest(rival).config.get("dimensions")):
            return None  # it learnt from vectors of another length
        if not reads_alike(store.manifest(rival), project):
            return None  # another model, or another encoder's vectors
        return run.workspace.library.load(store, rival)
    except (StoreError, ModelError, ConfigurationError) as exc:
        # A damaged version must not keep the new one from being served.
        run.warn(f"The new model is compared with nothing: {exc}")
        return None


def evaluation_state(project: RoundProject) -> str:
    """Changes with the evaluation tasks and the answers to them."""
    return evaluation_fingerprint((task.id, label) for task, label in project.pool.evaluation)
