"""What a version gets wrong on the evaluation tasks, and which labels people should check again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ml_backend.dashboard.reading.common import question_of, readable_versions, shown_items
from ml_backend.dashboard.reading.set_mistakes import by_class, set_mistakes
from ml_backend.errors import StoreError
from ml_backend.label_sets import shown
from ml_backend.label_studio.answers import read_answer
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.rounds.label_review import DOCUMENT
from ml_backend.rounds.measures import numbers
from ml_backend.store.evaluation_predictions import EvaluationPredictions
from ml_backend.store.project_store import ProjectStore

SHOWN: Final = 24
"""Mistakes on a page."""
MOST: Final = 500
"""Mistakes that can be requested at once."""
PAIRS: Final = 10
MOST_DRAWN: Final = 100
"""Up to this many classes the whole matrix is drawn; with more, it would say nothing and be too large for a page."""
DRAWN: Final = 40
"""With more classes, this many are drawn: those with the most errors."""
NOTHING: Final[Mapping[str, Any]] = {
    "version": None,
    "labels": [],
    "drawn": [],
    "confusion": [],
    "row_totals": [],
    "pairs": [],
    "by_class": None,
    "evaluated": 0,
    "wrong": 0,
    "mistakes": [],
    "shown_wrong": 0,
    "problem": None,
}
"""What is shown if there is no version to show."""


def read_mistakes(
    store: ProjectStore, *, version: str | None = None, target: str = "", guess: str = "", limit: int = SHOWN
) -> dict[str, Any]:
    """The confusion matrix of a version, its mistakes (the most confident first), and annotations in doubt.

    Args:
        store: the project's store.
        version: default: the one in use.
        target: only mistakes on tasks that people gave this label; empty: all.
        guess: only mistakes where the version says this label; empty: all.
        limit: number of mistakes.

    Returns:
        ``confusion`` is ``[D][D]`` for the classes ``drawn``: rows are people's labels, columns the version's. These
            are all classes or, of more than `MOST_DRAWN`, those with the most errors; ``row_totals`` ``[D]`` count all
            columns. ``pairs`` are the largest entries off the diagonal of the whole matrix. ``version`` is None if
            there is nothing to show, and ``problem`` says why. For answers that are sets there is no matrix;
            ``by_class`` says how often each class was missed or added.
    """
    measured = [name for name in readable_versions(store) if store.manifest(name).metrics]
    current = store.current().version
    found = {**NOTHING, "versions": measured, "current": current, "target": target, "guess": guess}
    found["numbers"] = numbers(store)
    found |= read_doubts(store)
    wanted = version or (current if current in measured else (measured[-1] if measured else None))
    if wanted is None:
        return found
    try:
        judged = _judged(store, wanted, measured)
    except StoreError as exc:
        return found | {"problem": str(exc)}
    labels = store.manifest(wanted).labels
    if judged.answers is None:
        rows, matrix = _mistakes(judged, labels, target, guess), _matrix(judged, labels)
    else:
        rows, matrix = set_mistakes(judged, labels, target, guess), {"by_class": by_class(judged, labels)}
    items = shown_items(store, [row["task"] for row in rows[:limit]])
    return found | {
        "version": wanted,
        "labels": list(labels),
        **matrix,
        "evaluated": len(judged.targets),
        "wrong": int((~judged.right).sum()),
        "shown_wrong": len(rows),
        "mistakes": [row | {"item": items.get(row["task"])} for row in rows[:limit]],
    }


def _judged(store: ProjectStore, version: str, measured: list[str]) -> EvaluationPredictions:
    """What a version said about each task. Raises StoreError with the reason if that is not known."""
    if version not in measured:
        raise StoreError(f"Version {version} is not stored (any more), or was never measured.")
    judged = store.evaluation_predictions(version)
    if judged is None:
        raise StoreError(f"What {version} said of each task was not kept: an older release trained it.")
    return judged


def _matrix(judged: EvaluationPredictions, labels: tuple[str, ...]) -> dict[str, Any]:
    confusion = confusion_matrix(judged, len(labels))
    drawn = drawn_classes(confusion)
    return {
        "drawn": [labels[number] for number in drawn],
        "confusion": confusion[np.ix_(drawn, drawn)].tolist(),
        "row_totals": confusion[drawn].sum(axis=1).tolist(),
        "pairs": _pairs(confusion, labels),
    }


def confusion_matrix(judged: EvaluationPredictions, classes: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Counts ``[C, C]``: rows are people's labels, columns the version's."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (judged.targets, judged.guesses), 1)
    return counts


def drawn_classes(confusion: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Classes to draw, in ascending order: all, or if they are many those that are involved in most errors."""
    if len(confusion) <= MOST_DRAWN:
        return np.arange(len(confusion))
    errors = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diagonal(confusion)
    return np.sort(np.argsort(-errors, kind="stable")[:DRAWN])


def read_doubts(store: ProjectStore) -> dict[str, Any]:
    """``doubted``: annotated tasks whose label is in doubt, the least likely first; None if nobody has looked."""
    try:
        known = store.document(DOCUMENT)
    except StoreError:
        known = {}
    if "doubted" not in known:
        return {"doubted": None}
    ids = [int(task) for task in known["doubted"]]
    items, labels = shown_items(store, ids), _given(store, ids)
    return {"doubted": [{"task": task, "item": items.get(task), "labels": labels.get(task, [])} for task in ids]}


def _mistakes(judged: EvaluationPredictions, labels: tuple[str, ...], target: str, guess: str) -> list[dict[str, Any]]:
    confidence = judged.probabilities.max(axis=1)
    wrong = np.flatnonzero(~judged.right)
    rows = []
    for position in wrong[np.argsort(-confidence[wrong], kind="stable")]:
        given, said = labels[judged.targets[position]], labels[judged.guesses[position]]
        if (target and given != target) or (guess and said != guess):
            continue
        rows.append(
            {
                "task": int(judged.task_ids[position]),
                "target": given,
                "guess": said,
                "confidence": float(confidence[position]),
                "target_probability": float(judged.probabilities[position, judged.targets[position]]),
            }
        )
    return rows


def _pairs(confusion: np.ndarray[Any, np.dtype[np.int64]], labels: tuple[str, ...]) -> list[dict[str, Any]]:
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    rows, columns = np.unravel_index(np.argsort(-off, axis=None, kind="stable")[:PAIRS], off.shape)
    return [
        {"target": labels[i], "guess": labels[j], "count": int(off[i, j])}
        for i, j in zip(rows, columns, strict=True)
        if off[i, j]
    ]


def _given(store: ProjectStore, task_ids: list[int]) -> dict[int, list[str]]:
    """The choices that people made, by task."""
    if not store.task_cache_path.exists():
        return {}
    found: dict[int, list[str]] = {}
    question = question_of(store)
    for task in TaskCache(store.task_cache_path).find(task_ids):
        given = (read_answer(annotation.result, question).label for annotation in task.annotations)
        found[task.id] = list(dict.fromkeys(shown(label) for label in given if label is not None))
    return found
