"""Several people who label at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from support.installation import Installation, connect
from support.waiting import PATIENCE, until

from ml_backend.config import Settings
from ml_backend.store.project_store import open_project

WORDS = ("flood in the river", "football match tonight")

QUICK = {"strategy": "entropy", "text_model": "headlines", "hyperparameters": {"steps": 20}}


def truth(text):
    return "related" if "flood" in text else "not related"


def headlines(make_project, labelled, in_all):
    project = make_project("headlines")
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(in_all)]
    for row in rows[:labelled]:
        row["annotations"] = [{"result": project.answer(truth(row["data"]["text"]))}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    return project


PEOPLE, FIRST = 4, 12
MORE = 10
"""Tasks that one person answers at the most while a round is waited for: how fast it comes is the machine's affair."""


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
    """Take the next task and answer it, with one person's token and the requests of the page."""
    asked = time.monotonic()
    params = {"id": "next_task", "project": project.id}
    task = account.client.request("POST", "api/dm/actions", params=params, body={}, once=True).json()
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
    account.client.request("POST", path, params={"project": project.id}, body=body, once=True)
    queue = shown[0]["model_version"] if shown else None
    turns.append(Turn(account.id, task["id"], label, queue, asked, served, time.monotonic()))


def label_until(enough, project, account, turns, each):
    """Answer so many tasks at the least, the last of them after ``enough`` was seen; a few more while it is not."""
    for number in range(each + MORE):
        seen = number + 1 >= each and enough.wait(PATIENCE / MORE)
        label_as_the_page_does(project, account, turns)
        if seen:
            return
    raise AssertionError(f"person {account.id} answered {each + MORE} tasks, and no round brought another queue")


def watch(project, product, samples, enough, stop):
    """What is served, and how much of it there is, again and again; ``enough``: a round while people label."""
    while not stop.wait(0.5):
        name = project.project.model_version
        samples.append((name, project.client.prediction_versions(project.id).get(name, 0)))
        if len({name for name, _ in samples}) > 1 and product.rounds(project)[-1].get("labels", 0) > FIRST:
            enough.set()


def given_twice(turns):
    """The turns of each task that several people got."""
    by_task = {}
    for turn in turns:
        by_task.setdefault(turn.task, []).append(turn)
    return [several for several in by_task.values() if len(several) > 1]


def label_by_several_people(make_project, label_studio, tmp_path, monkeypatch, each):
    """Labels by four people while rounds run, and what must hold of them; the turns, and each queue's places.

    Each answers ``each`` tasks at the least, and goes on until a round has come that took up some of the answers.
    """
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    project = headlines(make_project, labelled=FIRST, in_all=FIRST + PEOPLE * (each + MORE))
    accounts = [label_studio.create_user() for _ in range(PEOPLE)]
    settings = Settings(
        label_studio_url=label_studio.url,
        label_studio_api_key=label_studio.token,
        model_dir=tmp_path,
        queue_size=100,
        poll_seconds=5,
    )
    rule = {"train_after_labels": PEOPLE * each // 10, "train_after_seconds": 2.0}
    turns, samples, enough, stop = [], [], threading.Event(), threading.Event()
    with closing(Installation(settings)) as product, ThreadPoolExecutor(PEOPLE + 1) as pool:
        try:
            connect(project, product.url, settings, **rule, **QUICK)
            until(lambda: product.rounds(project), "a first round, for the labels that were there")
            watched = pool.submit(watch, project, product, samples, enough, stop)
            began = time.monotonic()
            people = [pool.submit(label_until, enough, project, account, turns, each) for account in accounts]
            for person in people:
                person.result()
            took = time.monotonic() - began
            everything = FIRST + len({turn.task for turn in turns})
            until(lambda: product.rounds(project)[-1]["labels"] == everything, "a round with all labels")
            until(lambda: not product.status(project)["running"], "the end of the last round")
        finally:
            stop.set()
        watched.result()
    store, lines = open_project(tmp_path, project.id), product.rounds(project)
    print(f"\n{len(turns)} labels by {PEOPLE} people in {took:.1f} s, {len(lines)} rounds meanwhile")
    for name, seconds in (
        ("next task", [t.served - t.asked for t in turns]),
        ("submit", [t.submitted - t.served for t in turns]),
    ):
        p50, p95 = np.percentile(seconds, (50, 95))
        print(f"{name}: p50 {p50:.2f} s, p95 {p95:.2f} s, longest {max(seconds):.2f} s")

    print(f"{len(given_twice(turns))} tasks were given to two people who asked at the same instant")

    # None lost: an annotation for each turn, with its task, person and label.
    answered = {turn.task for turn in turns}
    rows = [row for page in project.client.all_tasks(project.id) for row in page if row["id"] in answered]
    found = [
        (row["id"], a["completed_by"], a["result"][0]["value"]["choices"]) for row in rows for a in row["annotations"]
    ]
    assert sorted(found) == sorted((turn.task, turn.person, [turn.label]) for turn in turns)
    assert len(found) >= PEOPLE * each

    # None trained twice: as many examples as there were different labelled tasks when the round read them.
    assert [line["error"] for line in lines if line["error"]] == []
    assert {line["labels"] for line in lines} > {FIRST, everything}  # and some between, while people labelled
    manifests = [store.manifest(name) for name in store.versions()]
    assert [m.examples for m in manifests] == sorted({m.examples for m in manifests})
    assert len({m.fingerprint for m in manifests}) == len(manifests)
    assert manifests[-1].examples == everything
    offset = time.time() - time.monotonic()
    for line in lines:
        started, ended = (datetime.fromisoformat(line[key]).timestamp() - offset for key in ("started", "ended"))
        least = FIRST + len({turn.task for turn in turns if turn.submitted < started})
        most = FIRST + len({turn.task for turn in turns if turn.served < ended})
        assert least <= line["labels"] <= most

    # Always one whole queue: what was served at each moment, and every queue as Label Studio has it.
    queues = {line["queue"]: store.queue(line["queue"]) for line in lines}
    written = {}
    for row in project.client.predictions(project.id):
        written.setdefault(row["model_version"], []).append((row["score"], row["task"]))
    for name, queue in queues.items():
        assert sorted(written[name]) == [(p.score, p.task_id) for p in queue.predictions]
    assert len({turn.queue for turn in turns} - {None}) > 1
    assert [(name, count) for name, count in samples if count != len(queues[name].predictions)] == []

    # Every task came from a queue.
    places = {name: {p.task_id: n for n, p in enumerate(queue.predictions)} for name, queue in queues.items()}
    for turn in turns:
        assert any(turn.task in place for place in places.values())
        if turn.queue is not None:
            assert turn.task in places[turn.queue]
    assert sum(turn.queue is not None for turn in turns) > 0.9 * len(turns)
    return turns, places


def label_on_sqlite(make_project, label_studio, tmp_path, monkeypatch, each):
    """The same, where Label Studio's choice of a task is no transaction."""
    turns, places = label_by_several_people(make_project, label_studio, tmp_path, monkeypatch, each)
    # Label Studio on SQLite has no transaction around the choice of a task, so two who ask at the same instant can get
    # the same one: both answers count, and are pooled.
    for several in given_twice(turns):
        assert len({turn.person for turn in several}) == len(several)
        assert max(turn.asked for turn in several) < min(turn.served for turn in several)
    # What one person got before another asked stood before it.
    for name, place in places.items():
        came = [turn for turn in turns if turn.queue == name]
        since = min((turn.served for turn in came), default=0.0)
        chosen = [turn for turn in came if turn.asked > since]  # the others may have been chosen before the switch
        for later in chosen:
            earlier = [place[turn.task] for turn in chosen if turn.served < later.asked]
            assert max(earlier, default=-1) < place[later.task]


def stream(project, account, answer, count):
    """Answer so many tasks of one person's label stream; their ids."""
    tasks = []
    for _ in range(count):
        task = account.client.next_task(project.id)
        tasks.append(task["id"])
        account.client.annotate(task["id"], project.answer(answer(task)))
    return tasks
