"""Several people at once, behind a real Label Studio: no label is lost, answers are pooled, doubts are shown."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest
from test_loop_closes_live import Installation, connect, until

from ml_backend.config import ProjectSettings, Settings
from ml_backend.errors import ModelError
from ml_backend.rounds import label_review as recheck
from ml_backend.rounds.log import record_round, rounds
from ml_backend.rounds.run import Workspace, run_round
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


def label_as_the_page_does(project, account, turns, each):
    """Take the next task and answer it, so many times, with one person's token and the requests of the page."""
    for _ in range(each):
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


def watch(project, samples, stop):
    """What is served, and how much of it there is, again and again."""
    while not stop.wait(0.5):
        name = project.project.model_version
        samples.append((name, project.client.prediction_versions(project.id).get(name, 0)))


def test_200_labels_by_4_people_while_rounds_run(make_project, label_studio, tmp_path, monkeypatch):
    turns, places = label_by_several_people(make_project, label_studio, tmp_path, monkeypatch)
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


def given_twice(turns):
    """The turns of each task that several people got."""
    by_task = {}
    for turn in turns:
        by_task.setdefault(turn.task, []).append(turn)
    return [several for several in by_task.values() if len(several) > 1]


def label_by_several_people(make_project, label_studio, tmp_path, monkeypatch, each=EACH):
    """Labels by four people while rounds run, and what must hold of them; the turns, and each queue's places."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    project = headlines(make_project, labelled=FIRST, in_all=FIRST + PEOPLE * each + 20)
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
        connect(
            project, product.url, settings, train_after_labels=PEOPLE * each // 10, train_after_seconds=2.0, **QUICK
        )
        until(lambda: product.rounds(project), "a first round, for the labels that were there")
        people = [threading.Thread(target=guarded, args=(project, account, turns, each)) for account in accounts]
        watcher = threading.Thread(target=watch, args=(project, samples, stop))
        watcher.start()
        began = time.monotonic()
        for person in people:
            person.start()
        for person in people:
            person.join()
        took = time.monotonic() - began
        assert failures == []
        everything = FIRST + len({turn.task for turn in turns})
        until(lambda: product.rounds(project)[-1]["labels"] == everything, "a round with all labels")
        until(lambda: not product.status(project)["running"], "the end of the last round")
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

    print(f"{len(given_twice(turns))} tasks were given to two people who asked at the same instant")

    # None lost: an annotation for each turn, with its task, person and label.
    answered = {turn.task for turn in turns}
    rows = [row for page in project.client.all_tasks(project.id) for row in page if row["id"] in answered]
    found = [
        (row["id"], a["completed_by"], a["result"][0]["value"]["choices"]) for row in rows for a in row["annotations"]
    ]
    assert sorted(found) == sorted((turn.task, turn.person, [turn.label]) for turn in turns)
    assert len(found) == PEOPLE * each

    # None trained twice: as many examples as there were different labelled tasks when the round read them.
    assert [line["error"] for line in lines if line["error"]] == []
    assert len(lines) >= 3  # the first, at least one while people label, the last
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
    assert len({name for name, _ in samples}) >= 2
    assert [(name, count) for name, count in samples if count != len(queues[name].predictions)] == []

    # Every task came from a queue.
    places = {name: {p.task_id: n for n, p in enumerate(queue.predictions)} for name, queue in queues.items()}
    for turn in turns:
        assert any(turn.task in place for place in places.values())
        if turn.queue is not None:
            assert turn.task in places[turn.queue]
    assert sum(turn.queue is not None for turn in turns) > 0.9 * len(turns)
    return turns, places


# --- several answers to one task ---------------------------------------------------------------------------------


def stream(project, account, answer, count):
    """Answer so many tasks of one person's label stream; their ids."""
    tasks = []
    for _ in range(count):
        task = account.client.next_task(project.id)
        tasks.append(task["id"])
        account.client.annotate(task["id"], project.answer(answer(task)))
    return tasks


def test_two_answers_for_each_task(make_project, label_studio, tmp_path):
    """What stock Label Studio does with ``maximum_annotations = 2``, and what a round makes of the answers."""
    project = headlines(make_project, labelled=0, in_all=12)
    project.client.request("PATCH", f"api/projects/{project.id}", body={"maximum_annotations": 2})
    ann, bob = label_studio.create_user(), label_studio.create_user()
    workspace = Workspace(project.client, tmp_path, ProjectSettings(**QUICK))
    order = [p.task_id for p in run_round(workspace, project.id).queue.predictions]

    right = lambda task: truth(task["data"]["text"])  # noqa: E731
    assert stream(project, ann, right, 4) == order[:4], "the first person follows the queue"
    wrong = order[2]
    other = lambda task: "related" if right(task) == "not related" else "not related"  # noqa: E731
    answers = stream(project, bob, lambda task: (other if task["id"] == wrong else right)(task), 4)
    assert sorted(answers) == sorted(order[:4]), "the second one gets what has an answer already, in random order"
    assert stream(project, bob, right, 1) == order[4:5], "and then the queue, too"
    assert stream(project, ann, right, 2) == order[4:6], "as the first one again gets what the second began"

    report = record_round(workspace, project.id, trigger="asked")
    found = report.agreement
    assert (found.tasks, found.answers, found.tied) == (5, 10, 1)
    assert found.percent == pytest.approx(80)
    assert found.alpha < 1
    assert sum(report.label_counts.values()) == 5, "the tied one of six tasks is left out"
    assert any(
        f"1 tasks have tied answers and are left out until another decides: {wrong}." in w for w in report.warnings
    )
    store = open_project(tmp_path, project.id)
    assert store.manifest(report.version).agreement["alpha"] == pytest.approx(found.alpha)
    assert rounds(store)[-1]["agreement"]["tied"] == 1

    carol = label_studio.create_user()  # Label Studio asks for no third answer by itself; anybody can give one
    carol.client.annotate(wrong, project.answer("related"))
    decided = run_round(workspace, project.id)
    assert (decided.agreement.tied, sum(decided.label_counts.values())) == (0, 6)


# --- the tab of doubtful labels ----------------------------------------------------------------------------------


def listed(project, tab):
    params = {"view": tab["id"], "page_size": 100}
    return {task["id"] for task in project.client.request("GET", "api/tasks", params=params).json()["tasks"]}


def test_the_recheck_tab_lists_the_doubtful_labels(make_project, label_studio, tmp_path, monkeypatch):
    project, wrong = make_project("headlines"), range(3, 40, 12)
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(60)]
    for number, row in enumerate(rows[:50]):
        label = ("related", "not related")[(number + (number in wrong)) % 2]
        row["annotations"] = [{"result": project.answer(label)}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    flipped = [project.task_ids[number] for number in wrong]
    workspace = Workspace(project.client, tmp_path, ProjectSettings(text_model="headlines"))
    run_round(workspace, project.id)
    titles = lambda: [tab["data"]["title"] for tab in project.client.tabs(project.id)]  # noqa: E731
    assert recheck.TAB_TITLE not in titles(), "only projects that ask for it have one"

    theirs = {"project": project.id, "data": {"title": recheck.TAB_TITLE}}
    project.client.request("POST", "api/dm/views", body=theirs)
    before = project.client.tabs(project.id)
    on = {"recheck": 10}
    report = run_round(workspace, project.id, overrides=on)
    assert not report.trained
    assert set(report.doubted) == set(flipped)
    assert [step.name for step in report.steps][-1] == "re-check", "after the queue is published"
    *others, tab = project.client.tabs(project.id)
    assert others == before
    assert listed(project, tab) == set(flipped)

    # Mended labels leave the tab; a tie enters it.
    for task_id in flipped[:2]:
        (annotation,) = project.client.request("GET", f"api/tasks/{task_id}").json()["annotations"]
        label = truth(f"{WORDS[project.task_ids.index(task_id) % 2]}")
        project.client.request("PATCH", f"api/annotations/{annotation['id']}/", body={"result": project.answer(label)})
    label_studio.create_user().client.annotate(project.task_ids[1], project.answer("related"))
    report = run_round(workspace, project.id, overrides=on)
    assert report.doubted[0] == project.task_ids[1], "ties come first"
    assert set(report.doubted) == {project.task_ids[1], *flipped[2:]}
    assert listed(project, tab) == set(report.doubted)

    # Without news nothing is fitted, a deleted tab comes back, and a failure fails no round.
    def broken(*args, **kwargs):
        raise ModelError("no memory")

    monkeypatch.setattr(recheck, "out_of_sample", broken)
    project.client.request("DELETE", f"api/dm/views/{tab['id']}")
    again = run_round(workspace, project.id, overrides=on)
    assert again.doubted == report.doubted
    assert listed(project, project.client.tabs(project.id)[-1]) == set(report.doubted)
    failed = run_round(workspace, project.id, overrides=on | {"seed": 1})
    assert failed.published
    assert 'The tab "Re-check" is not up to date: no memory' in failed.warnings

    # Who switches it off gets rid of the tab, and of nothing else.
    off = run_round(workspace, project.id)
    assert off.doubted is None
    assert project.client.tabs(project.id) == before
