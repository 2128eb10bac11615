"""What one model version said about each evaluation task, in a file of the version's folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ml_backend.errors import StoreError

EVALUATION_FILE: Final = "evaluation.safetensors"


@dataclass(frozen=True)
class Judgement:
    """``E`` evaluation tasks, in the order of their ids."""

    task_ids: NDArray[np.int64]
    """``[E]``."""
    targets: NDArray[np.int64]
    """Indices into the version's labels, as people had answered by then ``[E]``."""
    probabilities: NDArray[np.float32]
    """``[E, C]``, dropout off."""

    @cached_property
    def guesses(self) -> NDArray[np.int64]:
        """Indices of the most probable labels ``[E]``."""
        guesses: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return guesses

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which tasks the version has right ``[E]``."""
        return np.asarray(self.guesses == self.targets)

    def about_same_tasks(self, other: Judgement) -> bool:
        """Whether both are about the same tasks with the same answers, so that they can be compared task by task."""
        return np.array_equal(self.task_ids, other.task_ids) and np.array_equal(self.targets, other.targets)


def judgement(
    task_ids: NDArray[np.int64], targets: NDArray[np.int64], probabilities: NDArray[np.floating]
) -> Judgement:
    """A judgement from rows in any order."""
    order = np.argsort(task_ids)
    return Judgement(task_ids[order], targets[order], probabilities[order].astype(np.float32))


def write_judgement(folder: Path, judged: Judgement) -> Path:
    """Write the file; its path. Raises OSError."""
    path = folder / EVALUATION_FILE
    arrays = {"task_ids": judged.task_ids, "targets": judged.targets, "probabilities": judged.probabilities}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    return path


def read_judgement(folder: Path) -> Judgement | None:
    """What a version's folder holds; None where the version was not measured, or by an older release.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / EVALUATION_FILE
    try:
        return Judgement(**load_file(path))
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, TypeError) as exc:
        raise StoreError(f"{path} is damaged ({exc}); delete it: the next training writes a new one.") from exc
