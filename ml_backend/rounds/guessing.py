"""Whether a round's new version can be told from guessing: by its evaluation tasks, else by cross-validation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids
from ml_backend.evaluation import label_errors
from ml_backend.evaluation.guessing import GuessingVerdict, guessing_verdict, guessing_verdict_of_sets
from ml_backend.models.base import LabeledItems
from ml_backend.models.several import are_sets
from ml_backend.records import Progress
from ml_backend.rounds.project import RoundProject
from ml_backend.store.evaluation_predictions import EvaluationPredictions

FEWEST_DRAWN: Final = 20
"""Labels that chance drew, below which cross-validation tells nothing."""
FOLD_STEPS: Final = 200
"""Training steps of each fold, at the most."""


def by_evaluation(project: RoundProject, judged: EvaluationPredictions) -> dict[str, Any] | None:
    """The verdict of the evaluation tasks, as a version keeps it; None where the settings want none."""
    if not project.settings.check_guessing:
        return None
    labels = project.question.labels
    if judged.answers is not None:
        found = guessing_verdict_of_sets(judged.probabilities, judged.targets, labels, judged.answers)
        return as_stored(found)
    return as_stored(guessing_verdict(judged.probabilities, judged.targets, labels))


def has_enough(project: RoundProject, task_ids: Ids, known: LabeledItems) -> bool:
    """Whether there are enough labels that chance drew, and enough of two classes, to cross-validate."""
    return bool(
        project.settings.check_guessing
        and _drawn(project, task_ids).sum() >= FEWEST_DRAWN
        and label_errors.has_enough(known.targets, len(project.question.labels))
    )


def _drawn(project: RoundProject, task_ids: Ids) -> NDArray[np.bool_]:
    drawn = project.unlabelled.drawn if project.unlabelled is not None else frozenset[int]()
    return np.array([task in drawn for task in task_ids.tolist()], dtype=np.bool_)


def by_cross_validation(
    project: RoundProject, task_ids: Ids, known: LabeledItems, progress: Progress
) -> dict[str, Any]:
    """The verdict of the labels that chance drew, each guessed by a model that does not know it.

    Labels that a strategy asked for are harder than the pool, and would make a good model look like a guess.

    Args:
        project: as the round read it, its pool embedded.
        task_ids: of the labelled items ``[L]``.
        known: the labelled items.
        progress: of the folds.
    """
    fair = _drawn(project, task_ids)
    chosen = dict(project.settings.hyperparameters)
    if "steps" in project.model.hyperparameters():
        chosen["steps"] = min(int(chosen.get("steps") or FOLD_STEPS), FOLD_STEPS)
    labels, seed = project.question.labels, project.settings.seed
    rows = label_errors.out_of_sample(
        project.model, labels, known.items, known.targets, seed=seed, hyperparameters=chosen, progress=progress
    )
    verdict = guessing_verdict_of_sets if are_sets(known.targets) else guessing_verdict
    return as_stored(verdict(rows[fair], known.targets[fair], labels))


def as_stored(verdict: GuessingVerdict) -> dict[str, Any]:
    """Fields of the verdict, with its answer and its sentence, JSON-able."""
    return {**asdict(verdict), "guessing": verdict.guessing, "sentence": verdict.sentence}
