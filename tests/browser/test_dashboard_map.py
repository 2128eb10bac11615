"""The map and the queue as a person uses them: real rounds, a real browser, and what Label Studio then serves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from demo_data import mnist_project
from playwright.sync_api import Page, expect
from support.label_studio import LiveLabelStudio, LiveProject, MakeProject
from support.pages import ARTEFACTS, errors_of
from support.serving import ServedApp, forget_client
from support.waiting import until

from ml_backend.config import Settings
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.records import CONTROL, FIRST_ROW, PINNED
from ml_backend.rounds.from_settings import run_request
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app
from ml_backend.store.pool_map import LABELLED, OPEN, QUEUED, PoolMap
from ml_backend.store.project_store import ProjectStore, open_project

FIRST, MORE, OPENED = 40, 10, 90
QUEUE = 12


class Served(SimpleNamespace):
    """A project after two rounds, and the backend that shows it."""

    project: LiveProject
    store: ProjectStore
    settings: Settings
    url: str
    moved: float


@pytest.fixture(scope="module")
def served(
    make_project: MakeProject, label_studio: LiveLabelStudio, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    whole = mnist_project(data, initial=FIRST).rows
    labelled = [row for row in whole if "annotations" in row and "split" not in row["data"]]
    held_out = [row for row in whole if row["data"].get("split") == "evaluation"][:20]
    opened = [row for row in whole if "annotations" not in row][:OPENED]
    project = make_project("mnist", title="Digits")
    ids = project.client.import_tasks(project.id, [*labelled, *held_out, *opened])
    settings = Settings(
        label_studio_url=label_studio.url,
        label_studio_api_key=label_studio.token,
        model_dir=tmp_path_factory.mktemp("versions"),
        queue_size=QUEUE,
    )
    uid = project.client.project(project.id).uid
    store = ProjectStore(settings.model_dir, uid)
    store.set_extra_params({"hyperparameters": {"steps": 40}, "control_share": 0.1})
    run_request(RoundRequest(project.id), settings=settings)
    for task in ids[-MORE:]:
        project.client.annotate(task, project.answer("3"))
    run_request(RoundRequest(project.id), settings=settings)
    worker = LocalRoundQueue(lambda request: run_request(request, settings=settings))
    app = ServedApp(create_app(settings, rounds=worker))
    known = open_project(settings.model_dir, project.id)
    assert known is not None
    yield Served(project=project, store=known, settings=settings, url=app.url)
    app.close()
    forget_client(settings)


@pytest.fixture
def dashboard(served: Served, page: Page) -> Iterator[Page]:
    """A page of the same browser, which has logged in to Label Studio, and that no script may fail in."""
    tab = page.context.new_page()
    problems = errors_of(tab)
    yield tab
    tab.close()
    assert problems == []


def newest_map(served: Served) -> PoolMap:
    drawn = served.store.map(str(served.store.current().version))
    assert drawn is not None
    return drawn


def spot(tab: Page, task: int) -> dict[str, Any]:
    """Where a task is on the screen, once the points stand still."""
    script = "task => dash_clientside.pool_map.where(task)"
    return until(lambda: (found := tab.evaluate(script, task)) and found["still"] and found, f"task {task} on the map")


def open_map(tab: Page, served: Served) -> None:
    tab.goto(f"{served.url}/dashboard/{served.project.id}/map")
    expect(tab.locator("#map-caption")).to_contain_text("tasks")


def wait_for_queue(served: Served, before: str | None) -> Any:
    """The order that follows ``before``, once Label Studio serves it."""
    name = until(
        lambda: (now := served.store.current().queue) != before and served.project.project.model_version == now and now,
        "a new order",
    )
    return served.store.queue(name)


def test_rounds_draw_maps_that_go_on_from_each_other(served: Served) -> None:
    first, second = (served.store.map(name) for name in served.store.versions())
    assert first is not None
    assert second is not None
    assert len(second.task_ids) == FIRST + 20 + OPENED == second.pool
    assert np.bincount(second.states).tolist() == [OPENED - MORE - QUEUE, QUEUE, FIRST + MORE, 20]
    shared, here, there = np.intersect1d(first.task_ids, second.task_ids, return_indices=True)
    spread = np.sqrt(((first.places - first.places.mean(axis=0)) ** 2).sum(axis=1).mean())
    moved = np.median(np.linalg.norm(second.places[there] - first.places[here], axis=1)) / spread
    assert len(shared) == FIRST + 20 + OPENED
    assert moved < 0.5, "points of another model, trained on few labels, are recognised all the same"


def test_the_map_shows_colours_and_replays(served: Served, dashboard: Page) -> None:
    before = served.store.map(served.store.versions()[0])
    assert before is not None
    # As of a project with a pool outside: three rows where no task is.
    corners = before.places.min(axis=0), before.places.max(axis=0), before.places.mean(axis=0)
    rows = {"rows": FIRST_ROW + np.arange(3), "row_places": np.array(corners, np.float32)}
    served.store.write_map(served.store.versions()[0], replace(before, **rows))
    open_map(dashboard, served)
    drawn = newest_map(served)
    expect(dashboard.locator("#map-caption")).to_contain_text(f"All {drawn.pool} tasks")
    expect(dashboard.locator("#map-legend li")).to_have_count(4)
    dashboard.get_by_role("button", name="Prediction").click()
    expect(dashboard.locator("#map-legend")).to_contain_text("control: guess not shown")
    dashboard.get_by_role("button", name="Label", exact=True).click()
    expect(dashboard.locator("#map-legend")).to_contain_text("no label yet")
    dashboard.get_by_role("button", name="Uncertainty").click()
    expect(dashboard.locator("#map-legend")).to_contain_text(" to ")
    expect(dashboard.locator("#map-version")).to_contain_text(f"Version 2: {FIRST + MORE} labels")
    there = spot(dashboard, int(drawn.task_ids[0]))
    dashboard.locator("#map-slider").focus()
    dashboard.keyboard.press("ArrowLeft")
    expect(dashboard.locator("#map-version")).to_contain_text(f"Version 1: {FIRST} labels")
    here = spot(dashboard, int(drawn.task_ids[0]))
    assert (here["x"], here["y"]) != (there["x"], there["y"])
    expect(dashboard.locator("#map-caption")).to_contain_text("Beside them 3 rows of the pool outside, a sample.")
    shown, frame = dashboard.get_by_role("button", name="rows of the pool, a sample"), dashboard.locator("#map-frame")
    expect(shown).to_contain_text("3")
    drawn_with = frame.screenshot()
    shown.click()
    until(lambda: frame.screenshot() != drawn_with, "the map without the grey points")


def alone(drawn: PoolMap, state: int) -> int:
    """A task of a state whose point has the most room around it, so that a mouse cannot mean another."""
    gaps = np.linalg.norm(drawn.places[:, None] - drawn.places[None], axis=2) + 1e9 * np.eye(len(drawn.places))
    room = np.where(drawn.states == state, gaps.min(axis=1), -1)
    return int(drawn.task_ids[room.argmax()])


def test_hover_shows_the_image_and_a_click_opens_the_task(served: Served, dashboard: Page) -> None:
    open_map(dashboard, served)
    task = alone(newest_map(served), LABELLED)
    place = spot(dashboard, task)
    dashboard.mouse.move(place["x"], place["y"])
    tip = dashboard.locator("#map-tip")
    expect(tip).to_contain_text(f"Task {task}, labelled")
    expect(tip).to_contain_text("Label: ")
    expect(tip.locator("img")).to_have_js_property("naturalWidth", 28)
    with dashboard.context.expect_page() as opened:
        dashboard.mouse.click(place["x"], place["y"])
    label_studio_page = opened.value
    expect(label_studio_page.locator(".lsf-current-task__task-id")).to_contain_text(str(task))
    label_studio_page.close()


def test_a_lasso_sends_tasks_to_the_front_and_the_stream_serves_them(served: Served, dashboard: Page) -> None:
    open_map(dashboard, served)
    before, drawn = served.store.current().queue, newest_map(served)
    task = alone(drawn, OPEN)
    place = spot(dashboard, task)
    around = [(-45, -45), (45, -45), (45, 45), (-45, 45), (-45, -44)]
    dashboard.mouse.move(place["x"] + around[0][0], place["y"] + around[0][1])
    dashboard.mouse.down()
    for dx, dy in around[1:]:
        dashboard.mouse.move(place["x"] + dx, place["y"] + dy, steps=3)
    dashboard.mouse.up()
    expect(dashboard.locator("#map-count-told")).to_contain_text("selected")
    listed = dashboard.locator("#map-list a").all_inner_texts()
    chosen = [int(re.findall(r"\d+", text)[0]) for text in listed]
    assert task in chosen
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    dashboard.screenshot(path=ARTEFACTS / "dashboard_map.png")
    dashboard.get_by_role("button", name="Ask these first").click()
    expect(dashboard.locator("#map-answer")).to_contain_text("will be asked next")
    queue = wait_for_queue(served, before)
    assert [item.task_id for item in queue.predictions[: len(chosen)]] == chosen
    assert {item.picked_by for item in queue.predictions[: len(chosen)]} == {PINNED}
    assert queue.version == served.store.queue(str(before)).version, "nothing was trained"
    assert served.project.client.next_task(served.project.id)["id"] == chosen[0]
    np.testing.assert_array_equal(newest_map(served).places, drawn.places, "the same model: nothing moves")


def test_tasks_are_selected_without_a_mouse(served: Served, dashboard: Page) -> None:
    open_map(dashboard, served)
    drawn = newest_map(served)
    task = int(drawn.task_ids[drawn.states == OPEN][0])
    dashboard.get_by_text("Select without the mouse").focus()
    dashboard.keyboard.press("Enter")
    dashboard.get_by_label("How many").fill("4")
    dashboard.get_by_label("Nearest to task").fill(str(task))
    dashboard.get_by_role("button", name="Select them").focus()
    dashboard.keyboard.press("Enter")
    expect(dashboard.locator("#map-count-told")).to_have_text("4 tasks selected.")
    expect(dashboard.locator("#map-list")).to_contain_text(f"Task {task}")
    dashboard.get_by_label("Nearest to task").fill("999999999")
    dashboard.get_by_role("button", name="Select them").click()
    expect(dashboard.get_by_text("Task 999999999 is not on this map.")).to_be_visible()


def test_pin_and_drop_on_the_queue_page_change_the_stream(served: Served, dashboard: Page) -> None:
    client, project = served.project.client, served.project.id
    client.annotate(client.next_task(project)["id"], served.project.answer("1"))  # what this person still held
    dashboard.goto(f"{served.url}/dashboard/{project}/queue")
    expect(dashboard.locator(".queued")).to_have_count(QUEUE)
    before = served.store.current().queue
    rows = served.store.queue(str(before)).predictions
    free = [item.task_id for item in rows if item.picked_by not in (CONTROL, PINNED)]
    wanted, unwanted = free[-1], free[0]
    row = dashboard.locator(f"#task-{wanted}")
    expect(row.locator("img")).to_have_js_property("naturalWidth", 28)
    expect(row.get_by_role("link")).to_have_attribute("href", re.compile(rf"task={wanted}$"))
    dashboard.screenshot(path=ARTEFACTS / "dashboard_queue.png")
    row.get_by_role("button", name="Ask next").click()
    expect(dashboard.locator("#override-answer")).to_contain_text("1 task will be asked next.")
    queue = wait_for_queue(served, before)
    assert queue.predictions[0].task_id == wanted
    assert client.next_task(project)["id"] == wanted
    # The page shows the new order by itself.
    expect(dashboard.locator(".queued").first).to_have_id(f"task-{wanted}")
    expect(dashboard.locator(".queued").first).to_contain_text("pinned by a person")
    dashboard.locator(f"#task-{unwanted}").get_by_role("button", name="Drop").click()
    expect(dashboard.locator("#override-answer")).to_contain_text("will not be asked")
    queue = wait_for_queue(served, queue.name)
    assert unwanted not in {item.task_id for item in queue.predictions}
    assert queue.predictions[0].task_id == wanted, "an override outlives the order that it made"
    expect(dashboard.get_by_text("Dropped", exact=True)).to_be_visible()
    dashboard.get_by_role("button", name=f"Take back: task {unwanted}").click()
    queue = wait_for_queue(served, queue.name)
    assert unwanted in {item.task_id for item in queue.predictions}
    assert client.project(project).model_version == queue.name


def test_both_pages_on_a_dark_phone(served: Served, page: Page) -> None:
    browser = page.context.browser
    assert browser is not None
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", is_mobile=True, has_touch=True
    )
    tab = phone.new_page()
    problems = errors_of(tab, console=False)
    open_map(tab, served)
    task = alone(newest_map(served), OPEN if OPEN in newest_map(served).states else QUEUED)
    tab.locator("#map-over").scroll_into_view_if_needed()
    place = spot(tab, task)
    tab.touchscreen.tap(place["x"], place["y"])
    expect(tab.locator("#map-tip").get_by_role("link")).to_have_attribute("href", re.compile(rf"task={task}$"))
    wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.evaluate(wide) == 0
    tab.screenshot(path=ARTEFACTS / "dashboard_map_phone.png", full_page=True)
    tab.goto(f"{served.url}/dashboard/{served.project.id}/queue")
    expect(tab.locator(".queued").first).to_be_visible()
    assert tab.evaluate(wide) == 0
    tab.screenshot(path=ARTEFACTS / "dashboard_queue_phone.png", full_page=True)
    phone.close()
    assert problems == []
