"""Where a project stands, as one dictionary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_backend.dashboard.reading.common import project_number, shown_as, title
from ml_backend.dashboard.reading.outside import read_outside
from ml_backend.dashboard.services import Examination, Services
from ml_backend.errors import ActiveLearningError, StoreError
from ml_backend.rounds.log import rounds
from ml_backend.rounds.measures import present
from ml_backend.rounds.tally import Tally, tally
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import serving_problem, version_before
from ml_backend.strategies.registry import STRATEGIES

OLD_SCORES: Final = re.compile(r"macro F (\d\.\d+) with the pool, (\d\.\d+) from the labels")
OLD_POOL: Final = re.compile(r"the ([\d,]+) items of the pool")
NOT_MEASURED: Final = "This version is still to be measured: a round does that once its order is served."
FIGURES = ("accuracy", "f_macro", "f_micro", "f_positive", "positive", "auc", "nll", "ece", "n")


def read_overview(services: Services, store: ProjectStore) -> dict[str, Any]:
    """The present state. Every part that cannot be read is None, and ``problems`` say why.

    ``version`` and ``before`` hold ``name, created_at, labels, metrics``. ``numbers`` are those of `rounds.measures`;
    ``queue`` adds ``strategy`` and whether it is ``foreign`` (ordered by another model's predictions). ``counted`` is
    when they were counted, if this machine has no copy of the tasks. ``round`` is the last line of the round log;
    ``beside`` is what the last good round knew about the other questions, in words; ``warnings`` are those of its
    warnings that still apply. ``next_round`` is the scheduler's outlook.
    """
    project_id = project_number(store)
    problems: list[str] = []
    current, now, log = store.current(), _numbers(store, problems), rounds(store, newest=50)
    measures = _measures(store, problems)
    numbers = now.numbers if now else measures.get("numbers")
    good = next((line for line in reversed(log) if not line.get("error")), None)
    manifest = _manifest(store, current.version, problems)
    before = _manifest(store, manifest.parent, []) if manifest and manifest.parent else None
    return {
        "project": project_id,
        "title": title(store),
        "label_studio": services.label_studio_link(project_id),
        "numbers": numbers,
        "counted": None if now or not numbers else (good or {}).get("ended"),
        "labels": (numbers or {}).get("labels", measures.get("labels", (good or {}).get("labels"))),
        "open_tasks": (numbers or {}).get("open", (good or {}).get("open_tasks")),
        "version": manifest and _version(manifest) | _learnt(manifest, log),
        "before": before and _version(before),
        "comparable": bool(manifest and before and _same_evaluation(manifest, before)),
        "pinned": current.pinned,
        "roll_back_to": _roll_back_to(store),
        "asks": _asks(store, current.queue, good),
        "queue": _queue(store, current.queue, numbers, problems),
        "running": services.running(project_id),
        "round": log[-1] if log else None,
        **_told(good or {}, numbers),
        "guesses": manifest.guesses if manifest else "",
        "next_round": _next_round(services, store),
        "hint": _hint(measures, current.version),
        "labels_saved": measures.get("labels_saved") if measures else None,
        "saved_missing": measures.get("saved_missing") if measures else None,
        "live": measures.get("live") if measures else None,
        "corrections": measures.get("corrections") if measures else None,
        "kind": shown_as(store),
        "outside": read_outside(store, problems),
        "doctor": read_examination(services.examination(project_id)),
        "problems": problems,
    }


def _told(line: Mapping[str, Any], numbers: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the last good round said."""
    return {
        "warnings": _warnings(line, numbers),
        "warned": line.get("ended"),
        "held_back": line.get("held_back"),
        "beside": list(line.get("beside") or ()),
    }


def _warnings(line: Mapping[str, Any], numbers: Mapping[str, Any] | None) -> list[str]:
    """The warnings of a round, except those about counts that have changed since."""
    messages = list(line.get("messages") or ())
    about, then = line.get("messages_about") or [None] * len(messages), line.get("counted") or {}
    now = numbers or then
    return [text for text, name in zip(messages, about, strict=False) if now.get(name) == then.get(name)]


def _next_round(services: Services, store: ProjectStore) -> dict[str, Any]:
    outlook, settings = services.outlook(project_number(store)), services.project_settings(store)
    return {
        "labels_waiting": outlook.labels_waiting,
        "labels": outlook.labels_to_go,
        "seconds": None if outlook.seconds_to_go is None else round(outlook.seconds_to_go),
        "failures": outlook.failures,
        "error": outlook.error,
        "every_labels": settings.train_after_labels,
        "every_seconds": settings.train_after_seconds,
    }


def read_examination(examination: Examination | None) -> dict[str, Any] | None:
    """The doctor's last run: ``running``, ``ended``, ``error``, how many ``checks`` it made, and what is not right.

    ``findings`` are the warnings and errors, ``skipped`` the checks that were not made, each with its reason.
    """
    if examination is None:
        return None
    rows = [
        {"name": f.name, "status": f.status, "message": f.message, "remedy": f.remedy}
        for f in examination.findings
        if f.status != "ok"
    ]
    skipped = [row for row in rows if row["status"] == "skipped"]
    ended = examination.ended.isoformat() if examination.ended else None
    checks = len(examination.findings) - len(skipped)
    return {
        "running": examination.running,
        "ended": ended,
        "error": examination.error,
        "checks": checks,
        "findings": [row for row in rows if row["status"] != "skipped"],
        "skipped": skipped,
    }


def _version(manifest: Manifest) -> dict[str, Any]:
    metrics = manifest.metrics or {}
    return {
        "name": manifest.name,
        "created_at": manifest.created_at.isoformat(),
        "labels": manifest.examples,
        "metrics": {name: metrics.get(name) for name in FIGURES} if metrics else None,
    }


def _learnt(manifest: Manifest, log: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``pool`` or ``labels``, and why, if the round that trained it is among the latest."""
    lines = (line for line in reversed(log) if line.get("version") == manifest.name and line.get("trained"))
    why = [line["learnt_from"] for line in lines if line.get("learnt_from")]
    return {"learnt_from": manifest.learnt_from, "learnt_why": in_plain_words(why[0]) if why else None}


def in_plain_words(why: str) -> str:
    """What a round said about its choice between labels and pool.

    (Older releases wrote "macro F" and "items of the pool".)
    """
    scores = OLD_SCORES.sub(
        lambda found: (
            f"mean F-score of the classes {float(found[1]):.1%} from all tasks, {float(found[2]):.1%} from the labels"
        ),
        why,
    )
    return OLD_POOL.sub(r"all \1 tasks, labelled or not", scores)


def _asks(store: ProjectStore, queue: str | None, last: Mapping[str, Any] | None) -> str | None:
    """What is asked now, in a sentence: from the round's log for ``auto``, otherwise from the registry."""
    if last and last.get("choice") and last.get("queue") == queue:
        return str(last["choice"])
    try:
        strategy = store.queue(queue).strategy if queue else ""
    except StoreError:
        return None
    known = STRATEGIES.usable().get(strategy)
    return f"{strategy}: {known.when}" if known else strategy or None


def _same_evaluation(a: Manifest, b: Manifest) -> bool:
    return a.metrics is not None and b.metrics is not None and a.evaluation_fingerprint == b.evaluation_fingerprint


def _numbers(store: ProjectStore, problems: list[str]) -> Tally | None:
    try:
        return tally(store)
    except StoreError as exc:
        problems.append(str(exc))
        return None


def _hint(measures: Mapping[str, Any], version: str | None) -> str | None:
    """Whether to go on. Not for another version than the one on the page, whose figures it would contradict."""
    if measures and version and measures.get("version") != version:
        return NOT_MEASURED
    return measures.get("hint") if measures else None


def _measures(store: ProjectStore, problems: list[str]) -> dict[str, Any]:
    try:
        return present(store)
    except StoreError as exc:
        if str(exc) not in problems:
            problems.append(str(exc))
        return {}


def _manifest(store: ProjectStore, version: str | None, problems: list[str]) -> Manifest | None:
    if version and (problem := serving_problem(store, version)):
        problems.append(problem)
    try:
        return store.manifest(version) if version else None
    except StoreError:  # reported already
        return None


def _queue(
    store: ProjectStore, name: str | None, numbers: Mapping[str, Any] | None, problems: list[str]
) -> dict[str, Any] | None:
    if name is None:
        return None
    try:
        queue = store.queue(name)
    except StoreError as exc:
        if str(exc) not in problems:
            problems.append(str(exc))
        return None
    known = (numbers or {}).get("queue") or {}
    counted = known if known.get("name") == name else {"answered": None}
    told = {"size": len(queue.predictions), "strategy": queue.strategy, "foreign": queue.source is not None}
    return {"name": name} | told | counted


def _roll_back_to(store: ProjectStore) -> str | None:
    try:
        return version_before(store)
    except ActiveLearningError:
        return None
