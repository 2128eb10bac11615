"""A project whose choices come with its tasks, from before there are any: connected, imported, renamed, set right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from support.application import served_application
from support.installation import QUICK
from support.label_studio import LiveLabelStudio, LiveProject
from support.scripts import write
from support.waiting import until

from ml_backend.application import Application
from ml_backend.cli import create_project, import_tasks
from ml_backend.config import Settings
from ml_backend.doctor.access import labeling_config
from ml_backend.doctor.diagnosis import Check, Context, examine
from ml_backend.errors import LabelConfigError, LabelStudioRejected
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.records import Wanted
from ml_backend.rounds.from_settings import run_request
from ml_backend.rounds.instant_graph import ON
from ml_backend.rounds.log import rounds
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import ProjectStore, open_project

TOPIC = '<Choices name="topic" toName="text" value="$topics"/>'
STARS = '<Rating name="stars" toName="text" maxRating="2"/>'
CONFIG = f'<View><Text name="text" value="$text"/>{TOPIC}</View>'
BOTH = CONFIG.replace(TOPIC, TOPIC + STARS)
TOPICS = [{"value": "sport"}, {"value": "money"}]
TASKS, LABELLED, QUEUE = 230, 16, 30


def rows() -> list[dict[str, Any]]:
    """Tasks of two clouds."""
    draws = np.random.default_rng(0)
    points = draws.normal(0, 0.4, (TASKS, 4)) + np.array([3, 0, 1, 2]) + np.arange(TASKS)[:, None] % 2 * [0, 3, 0, 0]
    return [
        {"data": {"text": f"text {n}", "topics": TOPICS, "numbers": point.round(4).tolist()}}
        for n, point in enumerate(points)
    ]


def result(topics: Sequence[str], stars: int) -> list[dict[str, Any]]:
    given: list[dict[str, Any]] = [
        {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": stars}}
    ]
    if topics:
        given.append({"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": list(topics)}})
    return given


@pytest.fixture
def application(label_studio: LiveLabelStudio, tmp_path: Path) -> Iterator[tuple[Application, Settings, str]]:
    with served_application(label_studio, tmp_path, queue_size=QUEUE) as application:
        yield application


def test_questions_before_there_are_tasks_while_the_config_changes_and_while_people_answer(
    application: tuple[Application, Settings, str],
    label_studio: LiveLabelStudio,
    run: Callable[..., Any],
    tmp_path: Path,
) -> None:
    app, settings, url = application
    project = _connected_before_its_tasks(settings, url, label_studio, run, tmp_path)
    client, store = label_studio.client, open_project(settings.model_dir, project.id)
    assert store is not None

    def order() -> dict[str, Any]:
        return run_request(RoundRequest(project.id, "sync"), settings=settings)

    def ask(config: str) -> None:
        client.request("PATCH", f"api/projects/{project.id}", body={"label_config": config})

    # Without an answer Label Studio lets people rename a question, and take it away.
    before = order()["queue"]
    first = client.next_task(project.id)["id"]
    for config, instead in ((BOTH.replace('"topic"', '"theme"'), "theme"), (BOTH.replace(TOPIC, ""), "stars")):
        ask(config)
        with pytest.raises(LabelConfigError) as error:
            order()
        told = str(error.value)
        assert 'no longer asks "topic", on which the present order is based. That order stands' in told
        assert f'such as "{instead}"' in told
        with Context(settings, project.id) as context:
            (found,) = examine(context, [Check("Labeling config", labeling_config)])
        assert (found.status, found.message) == ("error", told)
        overview = requests.get(f"{url}/dashboard/api/projects/{project.id}/overview", timeout=60)
        assert told in json.dumps(overview.json(), ensure_ascii=False).replace('\\"', '"')
        assert client.project(project.id).model_version == before == store.current().queue
        assert client.next_task(project.id)["id"] == first

    # Set right, it goes on; and with answers Label Studio itself sees to the names.
    ask(BOTH)
    for place, task in enumerate(project.task_ids[:LABELLED]):
        client.annotate(task, result([TOPICS[place % 2]["value"]], 1 + place % 2))
    after = order()
    assert after["queue"] != before
    assert rounds(store)[-1]["instant"] == ON
    (beside,) = requests.get(f"{url}/dashboard/api/projects/{project.id}/overview", timeout=60).json()["beside"]
    assert beside.startswith(f'"stars": {LABELLED} labels'), beside
    with pytest.raises(LabelStudioRejected, match="from_name=topic"):
        ask(BOTH.replace('"topic"', '"theme"'))

    # Answers to the second question alone move what comes next; then as sets, the empty one among them.
    app.start()
    _answer_until_moved(store, project, url, lambda turn: result((), 1 + turn % 2))
    ask(BOTH.replace('"$topics"', '"$topics" choice="multiple"'))
    sets = order()
    assert rounds(store)[-1]["instant"] == ON
    until(lambda: _moving(project, url)["queue"] == sets["queue"], "the loop is at the new order")
    both = [topic["value"] for topic in TOPICS]
    _answer_until_moved(store, project, url, lambda turn: result(both if turn % 2 else (), 1))


def _moving(project: LiveProject, url: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{url}/status", timeout=60).json()["projects"][str(project.id)]["instant"]
    return found


def _answer_until_moved(
    store: ProjectStore, project: LiveProject, url: str, answer: Callable[[int], list[dict[str, Any]]]
) -> None:
    """Answer what is served, as the page does, until an answer has moved what comes next."""
    client, given, queue = project.client, list[int](), store.current().queue
    assert queue is not None
    planned = [item.task_id for item in store.queue(queue).predictions]
    for answers in count(1):
        given.append(client.next_task(project.id)["id"])
        client.annotate(given[-1], answer(answers))
        until(lambda: _settled_at(answers, project, url), "the answer is taken in")  # noqa: B023
        if _moving(project, url)["moved"]:
            break
        assert answers < QUEUE // 2, "no answer moved anything"
    left = [item.task_id for item in store.queue(queue).predictions if item.task_id not in given]
    assert client.next_task(project.id)["id"] == left[0]
    assert left != [task for task in planned if task not in given]
    assert _moving(project, url)["problem"] == ""


def _settled_at(answers: int, project: LiveProject, url: str) -> bool:
    found = _moving(project, url)
    return found["answers"] == answers and not found["busy"]


def _connected_before_its_tasks(
    settings: Settings, url: str, label_studio: LiveLabelStudio, run: Callable[..., Any], tmp_path: Path
) -> LiveProject:
    """As people do who follow the page: the project, the backend, and then the tasks, which bring the choices."""
    client, title = label_studio.client, "Choices come with tasks"
    rules = {"strategy": "auto", "train_after_labels": 10_000, "train_after_seconds": 86_400.0, "control_share": 0}
    params = json.dumps(QUICK | rules | {"embedding_field": "numbers", "map": False})
    xml = write(tmp_path / "c.xml", CONFIG)
    run(create_project, "--config", xml, "--title", title, "--params", params)
    made = run(create_project, "--config", xml, "--title", title, "--backend-url", url)  # the settings stay
    assert "Import tasks that all have the same list there" in made.output
    now = client.find_project(title)
    assert now is not None
    assert client.backends(now.id)[0]["extra_params"] == json.loads(params)
    question: ChoiceQuestion = parse_label_config(CONFIG, wanted=Wanted(options=json.dumps({"topics": TOPICS})))
    project = LiveProject(now.id, question, [], client)
    told = run(import_tasks, write(tmp_path / "rows.json", json.dumps(rows())), "--project", str(now.id))
    assert f"Imported {TASKS} tasks" in told.output
    project.task_ids.extend(row["id"] for page in client.all_tasks(now.id) for row in page)
    return project
