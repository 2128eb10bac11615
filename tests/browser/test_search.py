"""Search, one label for many, and its undoing, as a person does them: without a mouse, on a real Label Studio."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect
from support.label_studio import Account, LiveLabelStudio, LiveProject, MakeProject
from support.pages import ARTEFACTS, errors_of
from support.serving import ServedApp, forget_client
from support.waiting import until

from ml_backend.config import Settings
from ml_backend.exporting.export import read_export
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.records import CONTROL, PINNED
from ml_backend.rounds.bulk_portions import PORTION
from ml_backend.rounds.from_settings import run_request
from ml_backend.rounds.measures import present
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app
from ml_backend.store import bulk_actions
from ml_backend.store.pool_map import OPEN
from ml_backend.store.project_store import ProjectStore, open_project

RAIN, CUP = "heavy rain and flood in the river, day", "football team wins the cup, match"
EACH, LABELLED, HELD_OUT, QUEUE = 30, 12, 20, 16
LABEL = "related"


class Served(SimpleNamespace):
    """A project after a round, the backend that shows it, and a person with an account of her own."""

    project: LiveProject
    store: ProjectStore
    settings: Settings
    person: Account
    token: str
    url: str


@pytest.fixture(scope="module")
def served(
    make_project: MakeProject, label_studio: LiveLabelStudio, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    project = make_project("headlines", title="Weather")
    answer = {RAIN: project.answer(LABEL), CUP: project.answer("not related")}
    rows = [{"data": {"text": f"{text} {number}"}} for number in range(EACH) for text in (RAIN, CUP)]
    for number, row in enumerate(rows[: LABELLED + HELD_OUT]):
        row["annotations"] = [{"result": answer[(RAIN, CUP)[number % 2]]}]
        if number >= LABELLED:
            row["data"]["split"] = "evaluation"
    project.client.import_tasks(project.id, rows)
    settings = Settings(
        label_studio_url=label_studio.url,
        label_studio_api_key=label_studio.token,
        model_dir=tmp_path_factory.mktemp("versions"),
        queue_size=QUEUE,
        text_model="headlines",
    )
    store = ProjectStore(settings.model_dir, project.project.uid)
    store.set_extra_params({"hyperparameters": {"steps": 40}, "embedding": "wordllama", "control_share": 0.25})
    run_request(RoundRequest(project.id), settings=settings)
    worker = LocalRoundQueue(lambda request: run_request(request, settings=settings))
    app = ServedApp(create_app(settings, rounds=worker))
    known = open_project(settings.model_dir, project.id)
    assert known is not None
    person = label_studio.create_user()
    token = label_studio.personal_access_token(person.client)
    yield Served(project=project, store=known, settings=settings, person=person, token=token, url=app.url)
    app.close()
    forget_client(settings)


@pytest.fixture
def tab(served: Served, page: Page) -> Iterator[Page]:
    """A page in which no script may fail."""
    tab = page.context.new_page()
    problems = errors_of(tab)
    yield tab
    tab.close()
    # What the backend refuses, a browser notes.
    assert [problem for problem in problems if "status of 400" not in problem] == []


def press(tab: Page, name: str | re.Pattern[str], key: str = "Enter") -> None:
    """A button, by the keyboard alone."""
    button = tab.get_by_role("button", name=name).first
    expect(button).to_be_enabled()
    button.focus()
    tab.keyboard.press(key)


def search(tab: Page, served: Served, query: str, told: str) -> None:
    tab.goto(f"{served.url}/dashboard/{served.project.id}/search{query}")
    expect(tab.locator("#search-told")).to_contain_text(told)


def free(served: Served, text: str) -> list[int]:
    """Tasks of a text that nobody answered, that are not held out, and that are no control tasks."""
    queue = served.store.queue(str(served.store.current().queue))
    control = {item.task_id for item in queue.predictions if item.picked_by == CONTROL}
    tasks = [task for task in TaskCache(served.store.task_cache_path).tasks() if text in task.data["text"]]
    return [t.id for t in tasks if not t.annotations and not t.is_evaluation and t.id not in control]


def answers(served: Served, tasks: list[int]) -> dict[int, list[int]]:
    """Task → who answered it."""
    rows = served.project.client.tasks_of(served.project.id, tasks)
    return {row["id"]: [each["completed_by"] for each in row["annotations"]] for row in rows}


def test_many_tasks_are_found_labelled_and_taken_back_by_keyboard(served: Served, tab: Page) -> None:
    wanted, client = free(served, RAIN), served.project.client
    assert len(wanted) > PORTION, "more than one portion"
    before = present(served.store)
    search(tab, served, "", f"{2 * EACH} tasks")
    tab.get_by_label("Words").focus()
    tab.keyboard.type('"heavy rain" FLOOD')
    tab.keyboard.press("Enter")
    expect(tab.locator("#search-told")).to_contain_text(f"{EACH} tasks")
    expect(tab.get_by_label("Words")).to_be_focused()
    press(tab, f"Choose all {EACH} found")
    tab.get_by_label("Choose task").first.focus()
    tab.keyboard.press("Space")
    expect(tab.locator("#search-count-told")).to_have_text(f"{EACH - 1} tasks chosen.")
    tab.keyboard.press("Space")
    tab.get_by_label("Label all of them as").focus()
    tab.keyboard.type(LABEL)
    press(tab, "Look before labelling")
    preview = tab.locator("#search-preview")
    expect(preview).to_contain_text(f"{len(wanted)} tasks would be labelled “{LABEL}”.")
    expect(preview).to_contain_text("held out to measure by")
    expect(preview).to_contain_text("control tasks, which measure the model")
    expect(preview).to_be_focused()
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=ARTEFACTS / "dashboard_search.png", full_page=True)

    press(tab, re.compile("^Label .* tasks as"))
    expect(tab.locator("#search-undo-answer")).to_contain_text("Type your own Label Studio access token")
    expect(tab.locator("#search-token")).to_be_focused()
    tab.keyboard.type("0" * 40)
    press(tab, re.compile("^Label .* tasks as"))
    expect(tab.locator("#search-undo-answer")).to_contain_text("does not take this token")
    tab.locator("#search-token").fill(served.token)
    press(tab, re.compile("^Label .* tasks as"))
    told = f"{len(wanted)} of {len(wanted)} tasks labelled “{LABEL}” by {served.person.email}."
    expect(tab.locator("#search-undo-answer")).to_contain_text(told)
    assert answers(served, wanted) == {task: [served.person.id] for task in wanted}

    run_request(RoundRequest(served.project.id), settings=served.settings)
    found = present(served.store)
    assert found["numbers"]["bulk"] == len(wanted)
    assert found["numbers"]["labels"] == before["numbers"]["labels"] + len(wanted)
    assert (found["random_labels"], found["live"]) == (before["random_labels"], before["live"])
    assert "to many tasks at once" in found["saved_missing"]
    rows = read_export(client, served.project.id, served.store).rows
    assert sorted(row["task_id"] for row in rows if row["share"] == "bulk") == wanted
    tab.goto(f"{served.url}/dashboard/{served.project.id}/overview")
    expect(tab.locator("#main")).to_contain_text(f"{len(wanted)} of the labels given many at once")

    search(tab, served, "", f"{2 * EACH} tasks")
    tab.locator("#search-token").fill(served.token)
    press(tab, re.compile("^Undo"))
    press(tab, f"Take back {len(wanted)} answers?")
    expect(tab.locator("#search-undo-answer")).to_contain_text(f"{len(wanted)} of {len(wanted)} answers taken back.")
    expect(tab.locator("#search-actions")).to_contain_text("taken back")
    assert answers(served, wanted) == {task: [] for task in wanted}
    (action,) = bulk_actions.read(served.store).values()
    assert action.state == "undone"
    assert served.token not in (served.store.folder / "bulk.json").read_text()
    run_request(RoundRequest(served.project.id), settings=served.settings)
    assert present(served.store)["numbers"]["bulk"] == 0


def test_what_is_like_a_text_is_asked_first(served: Served, tab: Page) -> None:
    search(tab, served, "?text=who+won+the+football+match&state=open&nearest=4", "4 tasks")
    expect(tab.locator("#search-list li").first).to_contain_text("football team wins")
    expect(tab.locator("#search-list li").first).to_contain_text("alike:")
    before = served.store.current().queue
    press(tab, "Choose all on this page")
    press(tab, "Ask these first")
    expect(tab.locator("#search-answer")).to_contain_text("will be asked next")
    name = until(lambda: (now := served.store.current().queue) != before and now, "a new order")
    picks = [item for item in served.store.queue(name).predictions if item.picked_by == PINNED]
    ids = tab.locator("#search-list input").evaluate_all("boxes => boxes.map(box => Number(box.dataset.choose))")
    assert [item.task_id for item in picks] == ids


def test_a_lasso_hands_its_tasks_over_and_the_map_shows_only_what_is_asked_for(served: Served, tab: Page) -> None:
    tab.goto(f"{served.url}/dashboard/{served.project.id}/map")
    drawn = served.store.map(str(served.store.current().version))
    assert drawn is not None
    count = int((drawn.states == OPEN).sum())
    tab.get_by_text("Show only some").click()
    tab.get_by_label("State").select_option(label="open")
    expect(tab.get_by_text("Show only some")).to_contain_text(f"{count} task")
    frame = tab.locator("#map-over")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 2, box["y"] + 2)
    tab.mouse.down()
    for x, y in ((1, 0), (1, 1), (0, 1), (0, 0.02)):
        tab.mouse.move(box["x"] + 2 + x * (box["width"] - 4), box["y"] + 2 + y * (box["height"] - 4), steps=4)
    tab.mouse.up()
    expect(tab.locator("#map-count-told")).to_have_text(f"{count} tasks selected.")
    press(tab, "Label these…")
    expect(tab).to_have_url(re.compile("/search$"))
    expect(tab.locator("#search-count-told")).to_have_text(f"{count} tasks chosen.")


def test_all_of_it_fits_a_dark_phone(served: Served, page: Page) -> None:
    browser = page.context.browser
    assert browser is not None
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", is_mobile=True, has_touch=True
    )
    tab = phone.new_page()
    search(tab, served, "?words=rain", f"{EACH} tasks")
    tab.get_by_label("Choose task").first.check()
    tab.get_by_label("Label all of them as").select_option(LABEL)
    tab.get_by_role("button", name="Look before labelling").click()
    expect(tab.locator("#search-preview")).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    tab.screenshot(path=ARTEFACTS / "dashboard_search_phone.png", full_page=True)
    phone.close()
