"""Several people at once, behind a real Label Studio: nobody gets another's task, no label is lost, answers are pooled."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest
from test_loop_closes_live import Installation, connect, until

from ml_backend import recheck
from ml_backend.backend import run_project_round
from ml_backend.config import ProjectSettings, Settings
from ml_backend.errors import LabelStudioNotFound, ModelError
from ml_backend.loop import Workspace, run_round
from ml_backend.round_log import record_round, rounds
from ml_backend.store import open_project

WORDS = ("flood in the river", "football match tonight")
QUICK = {"hyperparameters": {"steps": 20}}


def truth(text):
    return "related" if "flood" in text else "not related"


def headlines(make_project, labelled, in_all):
    project = make_project("headlines")
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(in_all)]
    for row in rows[:labelled]:
        row["annotations"] = [{"result": project.answer(truth(row["data"]["text"]))}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    return project


# --- 200 labels by 4 people --------------------------------------------------------------------------------------

PEOPLE, EACH, FIRST = 4, 50, 12


@dataclass(frozen=True)
class Turn:
    """One task that one person got and answered."""

    person: int
    task: int
    label: str
    queue: str | None
    """The model version of the prediction that came with the task."""
    asked: float
    served: float
    submitted: float


def label_as_the_page_does(project, account, turns):
    """Take the next task and answer it, ``EACH`` times, with one person's token and the requests of the page."""
    for _ in range(EACH):
        asked = time.monotonic()
        params = {"id": "next_task", "project": project.id}
        task = account.client.request("POST", "api/dm/actions", params=params, body={}, retries=0).json()
        served, shown = time.monotonic(), task["predictions"][:1]
        label = truth(task["data"]["text"])
        body = {
            "result": project.answer(label),
            "lead_time": 0.1,
            "draft_id": 0,
            "parent_prediction": shown[0]["id"] if shown else None,
            "parent_annotation": None,
            "started_at": datetime.now(UTC).isoformat(),
            "project": project.id,
        }
        path = f"api/tasks/{task['id']}/annotations/"
        account.client.request("POST", path, params={"project": project.id}, body=body, retries=0)
        queue = shown[0]["model_version"] if shown else None
        turns.append(Turn(account.id, task["id"], label, queue, asked, served, time.monotonic()))


def watch(project, samples, stop):
    """What is served, and how much of it there is, again and again."""
    while not stop.wait(0.25):
        name = project.project.model_version
        samples.append((name, project.client.prediction_versions(project.id).get(name, 0)))


def test_200_labels_by_4_people_while_rounds_run(make_project, label_studio, tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    project = headlines(make_project, labelled=FIRST, in_all=FIRST + PEOPLE * EACH + 20)
    accounts = [label_studio.create_user() for _ in range(PEOPLE)]
    settings = Settings(
        label_studio_url=label_studio.url,
        label_studio_api_key=label_studio.token,
        model_dir=tmp_path,
        queue_size=100,
        poll_seconds=5,
    )
    product = Installation(settings)
    turns, samples, failures, stop = [], [], [], threading.Event()

    def guarded(*arguments):
        try:
            label_as_the_page_does(*arguments)
        except Exception as exc:
            failures.append(exc)

    try:
        connect(project, product.url, settings, train_after_labels=20, train_after_seconds=2.0, **QUICK)
        run_project_round(project.id, "asked", settings=settings)
        people = [threading.Thread(target=guarded, args=(project, account, turns)) for account in accounts]
        watcher = threading.Thread(target=watch, args=(project, samples, stop))
        watcher.start()
        began = time.monotonic()
        for person in people:
            person.start()
        for person in people:
            person.join()
        took = time.monotonic() - began
        assert failures == []
        until(lambda: product.rounds(project)[-1]["labels"] == FIRST + PEOPLE * EACH, "a round with all labels")
    finally:
        stop.set()
        watcher.join()
        product.close()
    store, lines = open_project(tmp_path, project.id), product.rounds(project)
    print(f"\n{len(turns)} labels by {PEOPLE} people in {took:.1f} s, {len(lines)} rounds meanwhile")
    for name, seconds in (
        ("next task", [t.served - t.asked for t in turns]),
        ("submit", [t.submitted - t.served for t in turns]),
    ):
        p50, p95 = np.percentile(seconds, (50, 95))
        print(f"{name}: p50 {p50:.2f} s, p95 {p95:.2f} s, longest {max(seconds):.2f} s")

    # Nobody got another's task.
    assert len({turn.task for turn in turns}) == PEOPLE * EACH

    # None lost: 200 annotations, each with its person and label.
    ours = {turn.task for turn in turns}
    rows = [row for page in project.client.all_tasks(project.id) for row in page if row["id"] in ours]
    found = {
        row["id"]: [(a["completed_by"], a["result"][0]["value"]["choices"]) for a in row["annotations"]] for row in rows
    }
    assert found == {turn.task: [(turn.person, [turn.label])] for turn in turns}

    # None trained twice: as many examples as there were different labelled tasks when the round read them.
    assert [line["error"] for line in lines if line["error"]] == []
    assert len(lines) >= 6
    manifests = [store.manifest(name) for name in store.versions()]
    assert [m.examples for m in manifests] == sorted({m.examples for m in manifests})
    assert len({m.fingerprint for m in manifests}) == len(manifests)
    assert manifests[-1].examples == FIRST + PEOPLE * EACH
    offset = time.time() - time.monotonic()
    for line in lines:
        started, ended = (datetime.fromisoformat(line[key]).timestamp() - offset for key in ("started", "ended"))
        least = FIRST + sum(turn.submitted < started for turn in turns)
        most = FIRST + sum(turn.served < ended for turn in turns)
        assert least <= line["labels"] <= most

    # Always one whole queue: what was served at each moment, and every queue as Label Studio has it.
    queues = {line["queue"]: store.queue(line["queue"]) for line in lines}
    written = {}
    for row in project.client.predictions(project.id):
        written.setdefault(row["model_version"], []).append((row["score"], row["task"]))
    for name, queue in queues.items():
        assert sorted(written[name]) == [(p.score, p.task_id) for p in queue.predictions]
    assert len({name for name, _ in samples}) > 3
    assert [(name, count) for name, count in samples if count != len(queues[name].predictions)] == []

    # Every task came from a queue, in its order: what one person got before another asked stood before it.
    place = {name: {p.task_id: n for n, p in enumerate(queue.predictions)} for name, queue in queues.items()}
    for turn in turns:
        assert any(turn.task in places for places in place.values())
        if turn.queue is not None:
            assert turn.task in place[turn.queue]
    for name, places in place.items():
        served = sorted((turn for turn in turns if turn.queue == name), key=lambda turn: turn.served)
        for later in served:
            earlier = [places[turn.task] for turn in served if turn.served < later.asked]
            assert max(earlier, default=-1) < places[later.task]
    assert sum(turn.queue is not None for turn in turns) > 0.9 * len(turns)
