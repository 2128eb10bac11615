"""What people corrected: the predictions that they were shown, or were not shown, against what they submitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from ml_backend.evaluation.intervals import wilson
from ml_backend.label_studio.task_rows import TIME_FORMAT
from ml_backend.records import BULK, CONTROL, Annotation
from ml_backend.regions.changes import compare
from ml_backend.regions.reading import read_regions
from ml_backend.rounds.examples import answered_in_bulk
from ml_backend.rounds.measures import DOCUMENT
from ml_backend.rounds.predicted.pool import newest_answer
from ml_backend.rounds.predicted.reading import PredictedProject
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.tally import tally
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.query_log import QueryLogEntry, record

CORRECTIONS: Final = "corrections.json"
"""What became of the prediction of each answered task."""
COUNTED: Final = ("predicted", "annotated", "kept", "moved", "relabelled", "removed", "added")


def measure(project: PredictedProject, recorder: Recorder) -> dict[str, Any] | None:
    """Bring the project's measures up to date, and write them down; None where that failed, which fails no round."""
    with recorder.sparing_the_round("measuring", "The measures are not up to date"):
        with recorder.step("measure"):
            answered = [task for task, _ in project.pool.training]
            answers = {task.id: answer for task in answered if (answer := newest_answer(task)) is not None}
            asked = record(project.store, answers, answered_in_bulk(answered))
            corrected = corrections(project.store, asked, answers)
            now = tally(project.store)
            found: dict[str, Any] = {
                "version": None,
                "labels": len(answers),
                "random_labels": 0,
                "evaluated": len(project.pool.evaluation),
                "numbers": now and now.numbers,
                "live": {},
                "classes": {"control": {}, "picked": {}, "recent": {}},
                "labels_saved": None,
                "saved_missing": "compares models, and another model's predictions order this project",
                "outlook": None,
                "hint": _hint(corrected),
                "guesses": "",
                "corrections": corrected,
            }
            project.store.write_document(DOCUMENT, found)
        return found
    return None


def corrections(
    store: ProjectStore, asked: Mapping[int, QueryLogEntry], answers: Mapping[int, Annotation]
) -> dict[str, dict[str, Any]]:
    """What people corrected, by arm: ``control`` (drawn at random, shown nothing) and ``picked``.

    Each: ``tasks`` that had a prediction, how many were ``corrected``, with the share's 95 % interval ``low`` to
    ``high`` (Wilson 1927), regions ``predicted``, ``annotated``, ``kept``, ``moved``, ``relabelled``, ``removed`` and
    ``added``, and the mean ``overlap`` of regions that are about one thing. An answer that changed is compared anew.
    """
    before = store.document(CORRECTIONS).get("tasks", {})
    rows = dict(_compared(store, asked, answers, before))
    if rows != before:
        store.write_document(CORRECTIONS, {"tasks": rows})
    control = [row for row in rows.values() if row["picked_by"] == CONTROL]
    picked = [row for row in rows.values() if row["picked_by"] != CONTROL]
    return {"control": _summary(control), "picked": _summary(picked)}


def _compared(
    store: ProjectStore,
    asked: Mapping[int, QueryLogEntry],
    answers: Mapping[int, Annotation],
    before: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Task → its row, of tasks that a queue asked about with another model's prediction."""
    queues: dict[str, dict[int, Any]] = {}
    for task, answer in answers.items():
        entry = asked.get(task)
        if entry is None or entry.picked_by == BULK:
            continue
        stamp = f"{answer.id} {answer.updated_at.strftime(TIME_FORMAT)}"
        known = before.get(str(task))
        if known is not None and known.get("answer") == stamp:
            yield str(task), dict(known)
            continue
        if entry.queue not in queues:
            queues[entry.queue] = {item.task_id: item.result for item in store.queue(entry.queue).predictions}
        predicted = queues[entry.queue].get(task)
        if predicted is None:
            continue
        changes = compare(read_regions(predicted).regions, read_regions(answer.result).regions)
        yield (
            str(task),
            {"answer": stamp, "picked_by": entry.picked_by, **asdict(changes), "corrected": changes.corrected},
        )


def _summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found = list(rows)
    corrected = sum(bool(row["corrected"]) for row in found)
    share = wilson(corrected, len(found)) if found else None
    overlaps = [row["overlap"] for row in found if row["overlap"] is not None]
    return {
        "tasks": len(found),
        "corrected": corrected,
        "low": share.low if share else None,
        "high": share.high if share else None,
        **{name: sum(row[name] for row in found) for name in COUNTED},
        "overlap": sum(overlaps) / len(overlaps) if overlaps else None,
    }


def _hint(found: Mapping[str, Mapping[str, Any]]) -> str:
    control, picked = found["control"], found["picked"]
    if not picked["tasks"]:
        return "Go on: what people correct is not known yet."
    told = f"People corrected {picked['corrected']:,} of {picked['tasks']:,} tasks that were picked"
    if control["tasks"]:
        told += f", and {control['corrected']:,} of {control['tasks']:,} that were drawn at random"
    return f"{told}."
