"""What a model version predicted for each evaluation task, kept as a file in the version's folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ml_backend.errors import StoreError
from ml_backend.files import Staged
from ml_backend.models.several import are_sets, equal_answers

EVALUATION_FILE: Final = "evaluation.safetensors"


@dataclass(frozen=True)
class EvaluationPredictions:
    """Predictions for ``E`` evaluation tasks, ordered by task id; ``C`` is the number of classes."""

    task_ids: NDArray[np.int64]
    """``[E]``."""
    targets: NDArray[np.int64]
    """What people had answered by then: indices into the version's labels ``[E]``, or sets of them ``[E, C]``."""
    probabilities: NDArray[np.float32]
    """``[E, C]``, computed without dropout."""
    answers: NDArray[np.int64] | None = None
    """The sets that the version answers ``[E, C]``, by thresholds chosen without the task; None for single choices."""

    @cached_property
    def guesses(self) -> NDArray[np.int64]:
        """Indices of the most probable labels ``[E]``, or sets ``[E, C]``."""
        if self.answers is not None:
            return self.answers
        guesses: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return guesses

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which tasks the version got right ``[E]``; a set counts only if it is right as a whole."""
        return equal_answers(self.guesses, self.targets)

    def about_same_tasks(self, other: EvaluationPredictions) -> bool:
        """Whether both are about the same tasks with the same answers, so that they can be compared task by task."""
        return np.array_equal(self.task_ids, other.task_ids) and np.array_equal(self.targets, other.targets)


def evaluation_predictions(
    task_ids: NDArray[np.int64],
    targets: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    answers: NDArray[np.int64] | None = None,
) -> EvaluationPredictions:
    """Make evaluation predictions from rows in any order. ``answers`` are kept only if they are sets."""
    order = np.argsort(task_ids)
    sets = answers[order] if answers is not None and are_sets(answers) else None
    return EvaluationPredictions(task_ids[order], targets[order], probabilities[order].astype(np.float32), sets)


def write_evaluation_predictions(path: Staged, judged: EvaluationPredictions) -> None:
    """Write the file. Raises OSError or SafetensorError."""
    arrays: dict[str, NDArray[Any]] = {
        "task_ids": judged.task_ids,
        "targets": judged.targets,
        "probabilities": judged.probabilities,
    }
    if judged.answers is not None:
        arrays["answers"] = judged.answers
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def read_evaluation_predictions(folder: Path) -> EvaluationPredictions | None:
    """Read a version's predictions; None if the version was not measured, or only by an older release.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / EVALUATION_FILE
    try:
        return EvaluationPredictions(**load_file(path))
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, TypeError) as exc:
        raise StoreError(f"{path} is damaged ({exc}); delete it: the next training writes a new one.") from exc
