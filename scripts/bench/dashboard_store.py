"""A made-up project's store as real rounds leave it, at once: versions, judgements, a queue, a map, a task cache."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml_backend.evaluation.metrics import evaluate
from ml_backend.evaluation.promotion import compare
from ml_backend.importing.image_files import png_data_uri
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_cache import UPSERT, TaskCache
from ml_backend.records import Prediction, Queue
from ml_backend.rounds.log import append
from ml_backend.store.evaluation_predictions import evaluation_predictions
from ml_backend.store.manifest import Manifest
from ml_backend.store.pool_map import EVALUATION, LABELLED, OPEN, QUEUED, PoolMap
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.query_log import QueryLogEntry

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
LABELS_EACH = 20
"""Labels between two versions."""
HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"


def fill_cache(store: ProjectStore, tasks: dict[int, dict[str, Any]], labelled: dict[int, str]) -> None:
    """Tasks by id → data, and the labels that some of them have."""
    rows = []
    for task_id, data in tasks.items():
        row: dict[str, Any] = {"id": task_id, "data": data, "is_labeled": task_id in labelled, "annotations": []}
        if task_id in labelled:
            choice = {"from_name": "choice", "to_name": "item", "type": "choices"}
            result = [{**choice, "value": {"choices": [labelled[task_id]]}}]
            about = {"id": task_id * 10, "completed_by": 1, "updated_at": START.isoformat(), "was_cancelled": False}
            row["annotations"] = [about | {"result": result}]
        rows.append((task_id, len(row["annotations"]), json.dumps(row)))
    with TaskCache(store.task_cache_path)._open() as db, closing(db.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.executemany(UPSERT, rows)
        cursor.execute("COMMIT")


def make_store(
    root: Path,
    project_id: int = 1,
    *,
    kind: str = "Text",
    labels: tuple[str, ...] = ("related", "not related"),
    versions: int = 4,
    evaluated: int = 60,
    open_tasks: int = 40,
    title: str = "Headlines",
    texts: tuple[str, ...] = (),
) -> ProjectStore:
    """A store with so many versions, each better than the one before.

    Evaluation tasks are 1 … ``evaluated``, labelled ones follow, open ones come last; ``texts`` are the first tasks'.
    """
    store = ProjectStore(root, f"{project_id}.1700000000")
    generator = np.random.default_rng(project_id)
    total = evaluated + versions * LABELS_EACH + open_tasks
    tasks = _tasks(generator, kind, total, evaluated, texts)
    targets = generator.integers(0, len(labels), evaluated)
    label_of = {task_id: labels[targets[task_id - 1]] for task_id in range(1, evaluated + 1)}
    trained_on = range(evaluated + 1, evaluated + versions * LABELS_EACH + 1)
    label_of |= {task_id: labels[int(generator.integers(len(labels)))] for task_id in trained_on}
    fill_cache(store, tasks, label_of)
    field = _field(kind)
    store.note_question(ChoiceQuestion("choice", "item", kind, field, labels), title)
    before: tuple[str, NDArray[np.bool_]] | None = None
    answers: dict[str, Any] = {}
    for number in range(1, versions + 1):
        probabilities = _guesses(generator, targets, len(labels), skill=0.5 + 0.4 * number / versions)
        before = name, _ = _write_version(store, number, kind, labels, targets, probabilities, before)
        for task_id in trained_on[LABELS_EACH * (number - 1) : LABELS_EACH * number]:
            arm = "control" if task_id % 10 == 0 else "entropy"
            answers[str(task_id)] = asdict(QueryLogEntry(f"{name}.entropy-0001", name, arm, labels[0], 0.7))
        append(store, _round(number, name))
    if before:
        _publish(store, before[0], versions, labels, list(range(total - open_tasks + 1, total + 1))[:20])
        store.write_document("answers.json", {"answers": answers})
        store.write_document("measures.json", _measures(before[0], versions * LABELS_EACH))
        store.write_document("recheck.json", {"tab": 3, "fingerprint": "x", "doubted": [evaluated + 3, evaluated + 7]})
    return store


def _field(kind: str) -> str:
    return "text" if kind == "Text" else "image"


def _tasks(
    generator: np.random.Generator, kind: str, total: int, evaluated: int, texts: tuple[str, ...]
) -> dict[int, dict[str, Any]]:
    noise = generator.integers(0, 256, (12, 28, 28), dtype=np.uint8)
    tasks: dict[int, dict[str, Any]] = {}
    for task_id in range(1, total + 1):
        shown = texts[task_id - 1] if task_id <= len(texts) else f"Story {task_id}: rivers rise after the storm"
        tasks[task_id] = {_field(kind): shown if kind == "Text" else png_data_uri(noise[task_id % len(noise)])}
        if task_id <= evaluated:
            tasks[task_id]["split"] = "evaluation"
    return tasks


def _write_version(
    store: ProjectStore,
    number: int,
    kind: str,
    labels: tuple[str, ...],
    targets: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    before: tuple[str, NDArray[np.bool_]] | None,
) -> tuple[str, NDArray[np.bool_]]:
    """Write one version, compared with the one before it; its name, and which evaluation items it has right."""
    name = f"headlines-{number:04d}-{number:08x}"
    judged = evaluation_predictions(np.arange(1, len(targets) + 1), targets, probabilities)
    comparison = compare(judged.right, before[1], against=before[0]) if before else None
    examples = number * LABELS_EACH
    manifest = Manifest(
        name=name,
        model="headlines",
        number=number,
        created_at=START + timedelta(hours=number),
        object_tag=kind,
        labels=labels,
        config={},
        fingerprint=f"{number:08x}" * 8,
        examples=examples,
        label_counts={label: examples // len(labels) for label in labels},
        training=_training(number, examples, len(targets)),
        metrics=asdict(evaluate(probabilities, targets, labels)),
        settings={"strategy": "entropy", "queue_size": 20, "samples": 20 + number, "hyperparameters": {}},
        parent=before[0] if before else None,
        comparison=asdict(comparison) if comparison else None,
    )
    store.write_version(manifest, {"w": torch.zeros(3)}, judged)  # of no real model: nothing here loads it
    return name, judged.right


def _training(number: int, examples: int, evaluated: int) -> dict[str, Any]:
    return {
        "examples": examples,
        "epochs": 6,
        "seconds": 1.5,
        "loss": [round(0.7 / (epoch + 1) + 0.1, 4) for epoch in range(6)],
        "hyperparameters": {"steps": 6},
        "validation": {"items": evaluated, "epochs": [1, 3, 6], "loss": [0.9, 0.5, 0.6]} if number > 1 else None,
    }


def _publish(store: ProjectStore, version: str, number: int, labels: tuple[str, ...], queued: list[int]) -> None:
    reason = f"{labels[0]} (60%) or {labels[1]} (40%)"
    predictions = tuple(
        Prediction(task_id, labels[task_id % len(labels)], 0.6, place / 20, "entropy", reason)
        for place, task_id in enumerate(queued)
    )
    queue = Queue(f"{version}.entropy-{number:04d}", version, "entropy", 1, 0, predictions)
    store.write_queue(queue)
    store.set_current(Current(version, queue.name))


def some_map(count: int, classes: int = 2, *, first: int = 1, pool: int | None = None, seed: int = 0) -> PoolMap:
    """A map of so many tasks from id ``first`` on, in a cloud per class, the tasks in all four states."""
    rng = np.random.default_rng(seed)
    states = np.array([(OPEN, QUEUED, LABELLED, EVALUATION)[i % 4] for i in range(count)], dtype=np.uint8)
    kinds = np.random.default_rng(0).integers(0, classes, count)
    centres = np.random.default_rng(1).normal(scale=4.0, size=(classes, 2))
    return PoolMap(
        np.arange(first, first + count, dtype=np.int64),
        (centres[kinds] + rng.normal(size=(count, 2))).astype(np.float32),
        states,
        np.where(states >= LABELLED, kinds, -1).astype(np.int16),
        np.where(rng.random(count) < 0.9, kinds, rng.integers(0, classes, count)).astype(np.int16),
        rng.uniform(0.5, 1, count).astype(np.float32),
        rng.uniform(0, 1, count).astype(np.float32),
        pool=pool or count,
    )


def _guesses(
    generator: np.random.Generator, targets: NDArray[np.int64], classes: int, *, skill: float
) -> NDArray[np.float64]:
    scores = generator.normal(size=(len(targets), classes))
    right = generator.random(len(targets)) < skill
    scores[np.arange(len(targets)), targets] += np.where(right, 4.0, -2.0)
    odds = np.exp(scores)
    return odds / odds.sum(axis=1, keepdims=True)


def _round(number: int, version: str) -> dict[str, Any]:
    started = START + timedelta(hours=number)
    return {
        "round": f"round{number:07d}",
        "started": started.isoformat(),
        "trigger": "labels",
        "ended": (started + timedelta(seconds=4)).isoformat(),
        "steps": [{"name": "read", "seconds": 0.2}, {"name": "fit", "seconds": 1.5}],
        "error": None,
        "version": version,
        "trained": True,
        "learnt_from": "learnt from the labels alone: too few evaluation tasks to compare",
        "choice": "",
        "held_back": None,
        "queue": f"{version}.entropy-{number:04d}",
        "published": True,
        "open_tasks": 40,
        "accuracy": 0.8,
        "labels": number * 20,
        "warnings": 1,
        "messages": ["3 skipped tasks are left out of the queue."],
    }


def _measures(version: str, labels: int) -> dict[str, Any]:
    random = {"value": 2.0 * labels, "low": 1.4 * labels, "high": 3.1 * labels}
    saved = {"labels": labels, "random_labels": random, "at_least": False}
    saved["saved"] = {name: value - labels for name, value in random.items()}
    expected = {"value": 0.91, "low": 0.88, "high": 0.94}
    outlook = {"agreement": [0.7, 0.8], "settled": False, "accuracy": 0.85, "labels_ahead": 100, "expected": expected}
    return {
        "version": version,
        "labels": labels,
        "random_labels": 30,
        "live": {"control": {"n": 8, "accuracy": 0.9, "low": 0.7, "high": 0.97}},
        "classes": {"control": {}, "picked": {}, "recent": {}},
        "labels_saved": saved,
        "outlook": outlook,
        "hint": "Go on: predictions still change.",
    }
