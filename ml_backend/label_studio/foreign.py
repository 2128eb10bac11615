"""Predictions made by others: read from Label Studio, and written again as one of our queues.

"Others" are all whose ``model_version`` is not one of our names: another connected backend, or somebody who imported
predictions.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ml_backend.errors import LabelConfigError, LabelStudioError, LabelStudioUnanswerable, LabelStudioUnreachable
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.publishing import Step, publish_rows
from ml_backend.label_studio.queue_names import NO_MODEL, parse_queue_name
from ml_backend.label_studio.task_pages import log_left_out
from ml_backend.records import CONTROL, Prediction, Queue

AT_ONCE: Final = 128 * 1024 * 1024
"""Up to this many bytes, all predictions of a project are read in one answer, which is seven times faster."""
MOST_DEEP: Final = 50
"""How deep lists and objects may be nested in a region. Label Studio's own regions have five levels."""


@dataclass(frozen=True)
class Foreign:
    """One prediction of one task, made by somebody else."""

    id: int
    task: int
    version: str
    created: str
    """When it was written, in Label Studio's format."""
    score: Any = None
    text: str = "null"
    """Its result as JSON text: as Python objects, all results of a large project would not fit into memory."""

    @property
    def result(self) -> Any:
        """The result as Label Studio stores it: usually a list of regions, but anything may have been imported."""
        return json.loads(self.text)


@dataclass(frozen=True)
class ForeignPredictions:
    """One prediction per task: the newest of those that were asked for."""

    by_task: Mapping[int, Foreign] = field(default_factory=dict)
    contradictory: tuple[int, ...] = ()
    """Tasks that have several different predictions from the same version; the newest one is used."""

    @property
    def versions(self) -> Counter[str]:
        """Number of tasks per version."""
        return Counter(each.version for each in self.by_task.values())


def is_foreign(version: str | None) -> bool:
    """Whether a ``model_version`` is not one of ours."""
    return version != NO_MODEL and parse_queue_name(version) is None


def foreign_state(client: LabelStudioClient, project_id: int) -> str:
    """A text that changes whenever somebody else writes or deletes predictions: their versions, counts and times.

    Raises:
        LabelStudioError: Label Studio failed.
    """
    rows = client.version_rows(project_id)
    others = sorted((str(row["model_version"]), row["count"], row["latest"]) for row in rows)
    return "; ".join(f"{name} {count} {latest}" for name, count, latest in others if is_foreign(name))


def read_foreign(client: LabelStudioClient, project_id: int, version: str = "") -> ForeignPredictions:
    """Read others' predictions of a project's tasks: of one version, or the newest for each task.

    Raises:
        LabelStudioError: Label Studio failed.
    """
    return newest_of(_rows(client, project_id), version)


def newest_of(rows: Iterable[Mapping[str, Any]], version: str = "") -> ForeignPredictions:
    """Pick one prediction per task from Label Studio's rows: the newest of ``version``, or of all that are not ours."""
    found: dict[int, Foreign] = {}
    contradictory: set[int] = set()
    for row in rows:
        name = row.get("model_version") or ""
        if not is_foreign(name) or (version and name != version):
            continue
        text = json.dumps(row.get("result"))
        new = Foreign(row["id"], row["task"], name, row.get("created_at") or "", row.get("score"), text)
        known = found.get(new.task)
        if known is not None and known.version == new.version and known.text != new.text:
            contradictory.add(new.task)
        if known is None or (new.created, new.id) > (known.created, known.id):
            found[new.task] = new
    return ForeignPredictions(found, tuple(sorted(contradictory)))


def _rows(client: LabelStudioClient, project_id: int) -> Iterator[dict[str, Any]]:
    """All predictions. Read page by page if a single answer would be too large, or if Label Studio fails on it."""
    try:
        yield from client.predictions(project_id, most_bytes=AT_ONCE)
    except LabelStudioUnanswerable:
        for tasks in client.task_predictions(project_id, log_left_out):
            for task in tasks:
                yield from ({"task": task["id"], **row} for row in task.get("predictions") or ())


def shown_result(result: Any) -> list[dict[str, Any]]:
    """A result that Label Studio's page can show: region ids are strings, and no region is invalid JSON."""
    if not isinstance(result, list | tuple):
        return []
    found = []
    for region in result:
        if isinstance(region, Mapping) and _is_plain(region):
            kept = dict(region)
            if "id" in kept:
                kept["id"] = str(kept["id"])
            found.append(kept)
    return found


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether JSON can hold this value: no NaN, no infinity, no endless nesting."""
    if depth > MOST_DEEP:
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_plain(inner, depth + 1) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(inner, depth + 1) for inner in value)
    return value is None or isinstance(value, str | int)


def foreign_row(prediction: Prediction, version: str, *, prelabel: bool) -> dict[str, Any]:
    """One prediction in the form of Label Studio's import, without the task's id. Control tasks show no guess."""
    shown = list(prediction.result or ()) if prelabel and prediction.picked_by != CONTROL else []
    return {"result": shown, "score": prediction.score, "model_version": version}


def publish_foreign(
    client: LabelStudioClient, project_id: int, queue: Queue, label_config: str, *, step: Step
) -> list[int]:
    """Publish a queue of others' predictions; returns the tasks whose result Label Studio refused.

    Label Studio drops predictions that do not fit the labeling config. Such tasks keep their place in the order, but
    show no guess.

    Raises:
        LabelConfigError: the labeling config changed since the queue was made.
        LabelStudioError: a step failed; the old order stands.
    """
    refused: list[int] = []

    def write() -> None:
        refused.extend(_write(client, project_id, queue))

    def check() -> None:
        if client.project(project_id).label_config != label_config:
            raise LabelConfigError(
                f"The labeling config of project {project_id} changed while the round ran. The old order stands; the "
                "next round uses the new config."
            )

    publish_rows(client, project_id, queue.name, write, check, step=step)
    return refused


def _write(client: LabelStudioClient, project_id: int, queue: Queue) -> list[int]:
    rows = [
        {"task": item.task_id, **foreign_row(item, queue.name, prelabel=queue.prelabel)} for item in queue.predictions
    ]
    try:
        client.import_predictions(project_id, rows)
    except LabelStudioUnreachable as error:
        if len(_written(client, project_id, queue.name, error)) < len(rows):
            raise
    except LabelStudioError as error:
        there = _written(client, project_id, queue.name, error)
        left = [row for row in rows if row["task"] not in there]
        if left:
            client.import_predictions(project_id, [{**row, "result": []} for row in left])
        return [row["task"] for row in left if row["result"]]
    return []


def _written(client: LabelStudioClient, project_id: int, name: str, error: LabelStudioError) -> Collection[int]:
    """Tasks that have a prediction of this name. If that cannot be found out, raises the original error."""
    try:
        if not client.prediction_versions(project_id).get(name):
            return frozenset()
        return {row["task"] for row in _rows(client, project_id) if row.get("model_version") == name}
    except LabelStudioError:
        raise error from None
