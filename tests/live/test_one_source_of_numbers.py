"""Every place that names a number of answers names the same one, and Label Studio's, whatever people do."""

from __future__ import annotations

import json
import time
from collections import Counter

import numpy as np
import pytest
import requests
from support.application import served_application
from support.installation import QUICK, connect
from support.label_studio import LiveProject
from support.strokes import BARS, TWO_BARS, strokes
from support.waiting import PATIENCE, until
from typer.testing import CliRunner

from ml_backend.cli import measures
from ml_backend.config import Settings
from ml_backend.doctor.order_proof import prove_order, standing
from ml_backend.exporting.datasets_folder import SPLITS
from ml_backend.exporting.rows import annotation_rows
from ml_backend.importing.image_files import png_data_uri
from ml_backend.instant.queue import MOVABLE
from ml_backend.records import CONTROL
from ml_backend.rounds.from_settings import run_request
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import open_project
from ml_backend.store.queue_reorderings import INSTANT
from ml_backend.web.metrics import PREFIX

EVALUATED, LABELLED, IN_ALL, QUEUE = 8, 12, 260, 20


class People:
    """Two people who do things at random, and the count that somebody who watches them would keep."""

    def __init__(self, project: LiveProject, other, settings: Settings) -> None:
        self.project, self.settings = project, settings
        self.clients = (project.client, other.client)
        self.random = np.random.default_rng(15)
        self.held_out = set(project.task_ids[:EVALUATED])
        self.answers: dict[int, tuple[int, int, str | None]] = {}
        """Annotation → task, person, label or None for a skipped one; in the order of the last change."""
        self.control: set[int] = set()
        """Tasks that were control tasks of the queue when somebody first answered them."""
        self.picked: dict[int, str | None] = {}
        """Annotation → what had put its task into the queue."""
        self.seen: set[int] = set()
        """Annotations that the last round that trained knew, as they are."""

    @property
    def store(self):
        return open_project(self.settings.model_dir, self.project.id)

    @property
    def queued(self):
        store = self.store
        return {p.task_id: p.picked_by for p in store.queue(store.current().queue).predictions}

    def asked(self, task: int) -> str | None:
        """What put a task into the queue; of a first answer into the last queue that had it, whose page may be open."""
        store, touched = self.store, {task for task, _, _ in self.answers.values()}
        names = [store.current().queue] if task in touched else reversed(store.queues())
        picks = (item.picked_by for name in names for item in store.queue(name).predictions if item.task_id == task)
        return next(picks, None)

    def labels(self) -> dict[int, str]:
        """Task → the label it has; a tie has none."""
        given: dict[int, dict[int, str]] = {}
        for task, person, label in self.answers.values():
            if label is not None:
                given.setdefault(task, {})[person] = label
        found = {}
        for task, by_person in given.items():
            top = Counter(by_person.values()).most_common(2)
            if len(top) == 1 or top[0][1] > top[1][1]:
                found[task] = top[0][0]
        return found

    def expected(self):
        labels, touched, queued = self.labels(), {}, self.queued
        for task, _, label in self.answers.values():
            touched.setdefault(task, []).append(label)
        answered = {task for task, given in touched.items() if any(given)}
        new = {self.answers[a][0] for a in self.answers if a not in self.seen}
        training = labels.keys() - self.held_out
        queue_answered, queue_skipped = answered & queued.keys(), (touched.keys() - answered) & queued.keys()
        return {
            "labels": len(training),
            "evaluation": len(labels.keys() & self.held_out),
            "control": len(training & self.control),
            "bulk": 0,
            "tied": len(answered - labels.keys()),
            "queue": {
                "name": self.store.current().queue,
                "size": QUEUE,
                "answered": len(queue_answered),
                "skipped": len(queue_skipped),
                "waiting": QUEUE - len(queue_answered) - len(queue_skipped),
                "gone": 0,
                "elsewhere": len((new & labels.keys()) - queued.keys()),
            },
        }

    def know_what_was_imported(self) -> None:
        for row in self.project.client.export(self.project.id):
            (given,) = row["annotations"]
            self.answers[given["id"]] = row["id"], 0, given["result"][0]["value"]["choices"][0]
            self.picked[given["id"]] = None

    # --- what they do -------------------------------------------------------------------------------------------

    def note(self, annotation: int, task: int, person: int, label: str | None) -> None:
        self.answers.pop(annotation, None)
        self.seen.discard(annotation)
        if label is not None and task not in self.labels() and self.asked(task) == CONTROL:
            self.control.add(task)
        self.answers[annotation] = task, person, label

    def give(self, task: int, person: int, label: str | None) -> None:
        client = self.clients[person]
        result = self.project.answer(label) if label else []
        annotation = client.annotate(task, result, cancelled=label is None)
        self.picked[annotation] = self.asked(task)
        self.note(annotation, task, person, label)

    def any_label(self) -> str:
        return BARS[int(self.random.integers(2))]

    def untouched(self, tasks) -> list[int]:
        touched = {task for task, _, _ in self.answers.values()}
        return sorted(set(tasks) - touched)

    def annotate(self):
        person = int(self.random.integers(2))
        self.give(self.clients[person].next_task(self.project.id)["id"], person, self.any_label())

    def skip(self):
        self.give(self.clients[0].next_task(self.project.id)["id"], 0, None)

    def elsewhere(self):
        free = self.untouched(set(self.project.task_ids) - self.queued.keys() - self.held_out)
        self.give(int(self.random.choice(free)), 0, self.any_label())

    def evaluate(self):
        self.give(self.untouched(self.held_out)[0], 1, self.any_label())

    def second_answer(self):
        task, person, label = next(entry for entry in reversed(self.answers.values()) if entry[2])
        if not any(other == (task, 1 - person) for *other, _ in map(list, self.answers.values())):
            self.give(task, 1 - person, BARS[1 - BARS.index(label)])

    def change(self):
        annotation = int(self.random.choice([a for a, entry in self.answers.items() if entry[2]]))
        task, person, label = self.answers[annotation]
        other = BARS[1 - BARS.index(label)]
        body = {"result": self.project.answer(other)}
        self.clients[person].request("PATCH", f"api/annotations/{annotation}/", body=body)
        self.note(annotation, task, person, other)

    def delete(self):
        annotation = int(self.random.choice(list(self.answers)))
        self.project.client.delete_annotation(annotation)
        del self.answers[annotation]

    def train(self):
        self.sync(train=True)
        self.seen = set(self.answers)

    def sync(self, *, train=False):
        run_request(RoundRequest(self.project.id, "sync", train=train), settings=self.settings)

    def prove(self):
        """As the doctor does."""
        store = self.store
        with standing(store):
            queue, taken = store.queue(store.current().queue), {task for task, _, _ in self.answers.values()}
            left = type(queue)(
                **vars(queue) | {"predictions": tuple(p for p in queue.predictions if p.task_id not in taken)}
            )
            prove_order(self.clients[0], self.project.id, left, self.project.question, count=4)


ACTIONS = {
    "annotate": 6,
    "skip": 2,
    "elsewhere": 2,
    "evaluate": 2,
    "second_answer": 2,
    "change": 2,
    "delete": 3,
    "train": 1,
    "sync": 1,
    "prove": 1,
}
"""Action → how often."""


@pytest.fixture
def people(make_project, label_studio, tmp_path):
    """A project with a first order, the product beside it, and two people."""
    project = make_project("bars", config=TWO_BARS)  # of which there is a graph for the instant loop
    rows = [{"data": {"image": png_data_uri(image)}} for image in strokes(IN_ALL)]
    for row in rows[:EVALUATED]:
        row["data"]["split"] = "evaluation"
    for number, row in enumerate(rows[EVALUATED : EVALUATED + LABELLED]):
        row["annotations"] = [{"result": project.answer(BARS[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    rules = {"strategy": "auto", "control_share": 0.25, "train_after_labels": 10_000, "train_after_seconds": 86_400.0}
    with served_application(label_studio, tmp_path, queue_size=QUEUE) as (application, settings, url):
        connect(project, url, settings, **QUICK | rules)
        people = People(project, label_studio.create_user(), settings)
        people.url = url
        people.know_what_was_imported()
        people.train()
        application.start()
        yield people


def places(people: People) -> dict[str, dict]:
    """What each place says, in the words of `expected`, as far as it says it."""
    number = people.project.id
    get = lambda path: requests.get(people.url + path, timeout=60)  # noqa: E731
    status = get("/status").json()["projects"][str(number)]
    overview = get(f"/dashboard/api/projects/{number}/overview").json()
    queue = get(f"/dashboard/api/projects/{number}/queue?count=500").json()
    listed = next(row for row in get("/dashboard/api/projects").json()["projects"] if row["id"] == number)
    metrics = dict(line.rsplit(" ", 1) for line in get("/metrics").text.splitlines() if not line.startswith("#"))
    states = Counter(row["state"] for row in queue["rows"])
    told = CliRunner().invoke(
        measures.app, ["--project", str(number), "--json", "--model-dir", str(people.settings.model_dir)]
    )
    assert told.exit_code == 0, told.output
    measured = json.loads(told.stdout)
    return {
        "status": status["numbers"],
        "status, measures": {"labels": status["measures"]["labels"]},
        "overview": overview["numbers"],
        "overview, figures": {"labels": overview["labels"], "queue": {"answered": overview["queue"]["answered"]}},
        "queue": queue["numbers"],
        "queue, rows": {"queue": {name: states[name] for name in ("answered", "skipped", "waiting", "gone")}},
        "projects": {"labels": listed["labels"]},
        "metrics": {"labels": float(metrics[f'{PREFIX}labels{{project="{number}"}}'])},
        "measures": measured["numbers"] | {"labels": measured["labels"]},
        "export": exported(people),
    }


def exported(people: People) -> dict:
    """The same counts from an export, which asks Label Studio."""
    tasks = people.project.client.export(people.project.id)
    rows = list(annotation_rows(tasks, people.project.question, {}, people.store))
    labels = {row["task_id"] for row in rows if row["consensus_label"] is not None}
    tied = {row["task_id"] for row in rows if row["label"] is not None} - labels
    by_split = {name: {row["task_id"] for row in rows if row["split"] == name} & labels for name in SPLITS}
    counts = {"evaluation": len(by_split["evaluation"]), "control": len(by_split["control"]), "tied": len(tied)}
    return {"labels": len(by_split["train"] | by_split["control"])} | counts


def moving(people: People) -> str | None:
    """The order that the instant loop works on."""
    status = requests.get(f"{people.url}/status", timeout=60).json()["projects"][str(people.project.id)]
    return status["instant"]["queue"]


def wrong_shares(people: People) -> dict:
    """Annotation → the share that an export gives it, and what had put its task into the queue, where they differ."""
    tasks = people.project.client.export(people.project.id)
    found = {}
    for row in annotation_rows(tasks, people.project.question, {}, people.store):
        picked = people.picked[row["annotation_id"]]
        right = {MOVABLE: {"sampled", INSTANT}, None: {None}}.get(picked, {picked})  # it may be moved any moment
        if row["share"] not in ({"evaluation"} if row["task_id"] in people.held_out else right):
            found[row["annotation_id"]] = row["share"], picked
    return found


def moved_and_not_kept(people: People) -> list[str]:
    """Replaced orders whose files do not hold what was moved in them: it would be forgotten after some more orders."""
    store = people.store
    files = {name: json.loads((store.folder / "queues" / f"{name}.json").read_bytes()) for name in store.queues()}
    known = {
        name: [(row["task_id"], row["picked_by"]) for row in found["predictions"]] for name, found in files.items()
    }
    served = {name: [(row.task_id, row.picked_by) for row in store.queue(name).predictions] for name in known}
    return [name for name in known if name != store.current().queue and known[name] != served[name]]


def differences(people: People) -> dict:
    """Place → what it says that is not so."""
    expected = people.expected()
    found = {}
    for place, told in places(people).items():
        wanted = {name: expected[name] for name in told if name in expected}
        told = {name: told[name] for name in wanted}
        if "queue" in told:
            wanted["queue"] = {name: expected["queue"][name] for name in told["queue"]}
        if told != wanted:
            found[place] = told, wanted
    return found


def test_all_places_name_the_same_numbers_whatever_people_do(people):
    """A seeded sequence of what people and commands do; a moment after each, no place lags behind."""
    drawn = np.random.default_rng(3).permutation([name for name, count in ACTIONS.items() for _ in range(count)])
    done = []
    for name in ["annotate", "annotate", "elsewhere", "train", "annotate", "second_answer", "prove", *drawn.tolist()]:
        getattr(people, name)()
        done.append(name)
        end = time.monotonic() + PATIENCE
        while found := differences(people):
            assert time.monotonic() < end, (done, found)
            time.sleep(0.2)
        assert people.project.project.annotation_count == len(people.answers), done
    assert wrong_shares(people) == {}
    assert moved_and_not_kept(people) == []
    shares = Counter(people.picked.values())
    assert min(shares[CONTROL], shares[MOVABLE] + shares[INSTANT]) > 0, shares
    until(lambda: moving(people) == people.store.current().queue, "the instant loop at the last order")
