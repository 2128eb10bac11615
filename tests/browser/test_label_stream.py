"""A person's view: log in, press "Label All Tasks", answer by keyboard, and meet the tasks in the published order."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import waitress
from demo_data import DemoProject, headline_project, mnist_project
from playwright.sync_api import Page, expect
from processes import free_port
from support.label_studio import LiveLabelStudio, LiveProject, MakeProject
from support.pages import ARTEFACTS, errors_of, shown_task

from ml_backend.config import ProjectSettings, Settings
from ml_backend.label_studio.publishing import TAB_TITLE
from ml_backend.records import Queue
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.server import create_app

ANSWERED = 10
QUICK = {"mnist": {"steps": 60}, "headlines": {}}
"""Hyperparameters that are enough for an order, if not for a good model."""


def demo_project(kind: str, data: Path) -> DemoProject:
    whole = mnist_project(data, initial=50) if kind == "mnist" else headline_project(data, pool=400)
    labelled = [row for row in whole.rows if "annotations" in row and "split" not in row["data"]]
    opened = [row for row in whole.rows if "annotations" not in row]
    return DemoProject(whole.title, whole.config, whole.question, labelled + opened[:60], whole.source, whole.counts)


@pytest.fixture(scope="module", params=["mnist", "headlines"])
def published(
    request: pytest.FixtureRequest, make_project: MakeProject, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, LiveProject, Queue]:
    """A project with a trained model and a published queue."""
    kind = request.param
    project = make_project(kind)
    project.client.import_tasks(project.id, demo_project(kind, data).rows)
    # Pre-annotations are what is tested here, however little the model knows.
    settings = ProjectSettings(hyperparameters=QUICK[kind], queue_size=30, control_share=0, check_guessing=False)
    report = run_round(
        Workspace(project.client, tmp_path_factory.mktemp("versions"), settings), RoundRequest(project.id)
    )
    assert report.published
    assert report.trained
    assert report.queue is not None
    return kind, project, report.queue


def test_annotator_meets_the_published_order(
    published: tuple[str, LiveProject, Queue], page: Page, label_studio: LiveLabelStudio
) -> None:
    kind, project, queue = published
    errors = errors_of(page, console=False)
    page.goto(f"{label_studio.url}/projects/{project.id}/data")
    page.get_by_role("button", name="Label All Tasks").click()
    expected = [item.task_id for item in queue.predictions[:ANSWERED]]
    shown: list[int] = []
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for place in range(ANSWERED):
        shown.append(shown_task(page, after=shown[-1] if shown else None))
        guess = queue.predictions[place].label
        expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
        if place == 0:
            page.screenshot(path=ARTEFACTS / f"{kind}_label_stream.png")
        # Every second answer corrects the model's guess: both ways of answering must work by keyboard alone.
        if place % 2:
            page.keyboard.press(another_key(kind, str(guess)))
        with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST") as answer:
            page.keyboard.press("Control+Enter")
        assert answer.value.status == 201
    assert shown == expected
    labels = {
        task["id"]: task["annotations"][0]["result"][0]["value"]["choices"][0]
        for task in project.client.export(project.id)
        if task["id"] in expected
    }
    guesses = {item.task_id: item.label for item in queue.predictions}
    assert [labels[task] == guesses[task] for task in expected] == [place % 2 == 0 for place in range(ANSWERED)]
    assert not errors


def test_the_key_of_the_chosen_answer_does_not_submit_an_empty_one(
    published: tuple[str, LiveProject, Queue], page: Page, label_studio: LiveLabelStudio
) -> None:
    """The trap of Label Studio's keys: pressing the chosen choice's key clears it. Submit then does nothing."""
    kind, project, queue = published
    page.goto(f"{label_studio.url}/projects/{project.id}/data")
    page.get_by_role("button", name="Label All Tasks").click()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
    task = shown_task(page)
    guess = next(item.label for item in queue.predictions if item.task_id == task)
    before = len(project.client.export(project.id))
    page.keyboard.press(key_of(kind, str(guess)))
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(0)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()
    assert len(project.client.export(project.id)) == before


def test_tab_lists_the_queue_in_the_same_order(
    published: tuple[str, LiveProject, Queue], page: Page, label_studio: LiveLabelStudio
) -> None:
    kind, project, queue = published
    tabs = project.client.request("GET", "api/dm/views", params={"project": project.id}).json()
    tab = next(tab for tab in tabs if tab["data"]["title"] == TAB_TITLE)
    listed = project.client.request("GET", "api/tasks", params={"view": tab["id"], "page_size": 100}).json()["tasks"]
    answered = {task["id"] for task in project.client.export(project.id)}
    expected = [item.task_id for item in queue.predictions if item.task_id not in answered]
    assert [task["id"] for task in listed] == expected
    page.goto(f"{label_studio.url}/projects/{project.id}/data?tab={tab['id']}")
    expect(page.get_by_text(TAB_TITLE).first).to_be_visible()
    expect(page.get_by_text(str(expected[0]), exact=True).first).to_be_visible()
    page.screenshot(path=ARTEFACTS / f"{kind}_tab.png")


def test_an_answer_counts_although_the_order_changed_meanwhile(
    published: tuple[str, LiveProject, Queue], page: Page, label_studio: LiveLabelStudio, tmp_path: Path
) -> None:
    """The loop runs while people look at a task; what they then submit must be taken."""
    kind, project, _ = published
    page.goto(f"{label_studio.url}/projects/{project.id}/data")
    page.get_by_role("button", name="Label All Tasks").click()
    opened = shown_task(page)
    settings = ProjectSettings(hyperparameters=QUICK[kind], queue_size=30, strategy="margin")
    report = run_round(Workspace(project.client, tmp_path, settings), RoundRequest(project.id))
    assert report.queue is not None
    with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST") as answer:
        page.keyboard.press("Control+Enter")
    assert answer.value.status == 201
    following = [item.task_id for item in report.queue.predictions if item.task_id != opened]
    assert shown_task(page, after=opened) == following[0], "and the new order goes on"


def test_label_studio_shows_why_a_labeling_config_is_refused(
    page: Page, label_studio: LiveLabelStudio, tmp_path: Path
) -> None:
    """On the page, because Label Studio passes on only a part of our answer, and reads that as HTML."""
    choices = '<Choices name="c" toName="a"><Choice value="x"/><Choice value="y"/></Choices>'
    config = f'<View><Audio name="a" value="$a"/>{choices}</View>'
    project = label_studio.client.create_project("Sounds", config)
    settings = Settings(model_dir=tmp_path, port=free_port(), basic_auth_user="label", basic_auth_pass="studio")
    server = waitress.create_server(create_app(settings), host="127.0.0.1", port=settings.port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    page.goto(f"{label_studio.url}/projects/{project.id}/settings/ml")
    page.get_by_text("Connect Model").last.click()
    page.locator("[name=title]").fill("Active learning")
    page.locator("[name=url]").fill(f"http://127.0.0.1:{settings.port}")
    page.get_by_text("No Authentication").last.click()
    page.get_by_text("Basic Authentication").last.click()
    page.locator("[name=basic_auth_user]").fill("label")
    page.locator("[name=basic_auth_pass]").fill("studio")
    page.get_by_text("Validate and Save").click()
    expect(page.get_by_text("asks about Audio; supported: Image, Text").first).to_be_visible()
    page.screenshot(path=ARTEFACTS / "refused_config.png")
    server.close()


def key_of(kind: str, label: str) -> str:
    return label if kind == "mnist" else {"related": "1", "not related": "2"}[label]


def another_key(kind: str, label: str) -> str:
    return str((int(label) + 1) % 10) if kind == "mnist" else {"related": "2", "not related": "1"}[label]
