"""The dashboard as people use it: Chromium, Label Studio, real rounds, from the printed URL to the tenth round."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from bench.dashboard_store import HOSTILE, make_store, some_map
from playwright.sync_api import Browser, BrowserContext, Page, expect
from support.installation import annotate
from support.label_studio import LiveLabelStudio, LiveProject, MakeProject
from support.pages import ARTEFACTS, errors_of, shown_task
from support.serving import ServedApp, forget_client
from support.waiting import until

from ml_backend.config import Settings
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.importing.image_files import png_data_uri
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.label_studio.setup import connect_backend
from ml_backend.rounds.from_settings import run_request
from ml_backend.rounds.log import rounds
from ml_backend.server import create_app
from ml_backend.store.pool_map import MOST
from ml_backend.store.project_store import ProjectStore, open_project

PATIENCE = 60_000
"""Milliseconds for a round on a busy machine."""
HOSTILE_TITLE = "<img src=x onerror=window.hacked=1>"
WORDS = ("flood in the river", "football match tonight")
USER, PASSWORD = "studio", "päss"


class Product:
    """What ``scripts/serve.py`` starts, with rounds in a thread, so that nothing waits for imports."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        rounds = LocalRoundQueue(lambda request: run_request(request, settings=settings))
        self.scheduler = Scheduler(settings, rounds)
        self._served = ServedApp(create_app(settings, rounds=rounds, scheduler=self.scheduler))
        self.url = self._served.url
        self.scheduler.start()

    def store(self, project: LiveProject) -> ProjectStore:
        store = open_project(self.settings.model_dir, project.id)
        assert store is not None
        return store

    def close(self) -> None:
        self.scheduler.stop()
        self._served.close()
        forget_client(self.settings)


@pytest.fixture(scope="module")
def product(label_studio: LiveLabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    running = Product(
        Settings(
            label_studio_url=label_studio.url,
            label_studio_api_key=label_studio.token,
            model_dir=tmp_path_factory.mktemp("dashboard") / "versions",
            basic_auth_user=USER,
            basic_auth_pass=PASSWORD,
            poll_seconds=0,
        )
    )
    yield running
    running.close()


@pytest.fixture(scope="module")
def texts(make_project: MakeProject, product: Product) -> LiveProject:
    """Headlines: evaluation tasks of which some are labelled wrong, first labels, open ones; one of them hostile."""
    project = make_project("headlines", title=f"Texts {HOSTILE_TITLE}")
    rows = []
    for number in range(96):  # a hundred are drawn by UMAP, which takes ten times as long
        data = {"text": f"{WORDS[number % 2]}, story {number} {HOSTILE if number in (0, 60) else ''}"}
        labelled, wrong = number < 56, number in (0, 7)
        row: dict = {"data": data | ({"split": "evaluation"} if number < 40 else {})}
        if labelled:
            row["annotations"] = [{"result": project.answer(("related", "not related")[(number + wrong) % 2])}]
        rows.append(row)
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    connect_backend(project.client, project.id, product.url, product.settings)
    return project


@pytest.fixture(scope="module")
def images(make_project: MakeProject, product: Product) -> LiveProject:
    """Bars that stand or lie, called 0 and 1."""
    import numpy as np

    project = make_project("mnist", title="Bars")
    rows = []
    for number in range(60):
        image = np.zeros((28, 28), dtype=np.uint8)
        where = slice(4 + number % 8, 10 + number % 8)
        image[(where, slice(None)) if number % 2 else (slice(None), where)] = 220
        row: dict = {"data": {"image": png_data_uri(image)} | ({"split": "evaluation"} if number < 30 else {})}
        if number < 42:
            row["annotations"] = [{"result": project.answer(str((number + (number == 3)) % 2))}]
        rows.append(row)
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    connect_backend(project.client, project.id, product.url, product.settings)
    return project


def visitor(browser: Browser, product: Product, **options) -> tuple[BrowserContext, Page, list[str]]:
    """A person at the dashboard, and what went wrong in the browser."""
    context = browser.new_context(
        http_credentials={"username": USER, "password": PASSWORD}, viewport={"width": 1280, "height": 900}, **options
    )
    page = context.new_page()
    wrong = errors_of(page)
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((product.url, "data:", "blob:")) else wrong.append(asked.url),
    )
    return context, page, wrong


@pytest.fixture(scope="module")
def person(browser: Browser, product: Product) -> Iterator[Page]:
    context, page, wrong = visitor(browser, product)
    yield page
    context.close()
    assert wrong == [], "errors, or requests to elsewhere"


def train(page: Page, **typed: str) -> None:
    """Type settings and press the button."""
    details = page.locator("#train-settings")
    if typed and not details.evaluate("found => found.open"):
        details.locator("summary").click()
    for label, value in typed.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)
    page.get_by_role("button", name="Train now").click()


def accessible(page: Page, where: str) -> None:
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    told = [(item["id"], [node["html"][:120] for node in item["nodes"][:2]]) for item in found.response["violations"]]
    assert told == [], where


def test_from_the_printed_url_to_the_sixth_round(
    product: Product, texts: LiveProject, person: Page, label_studio: LiveLabelStudio
) -> None:
    store = product.store(texts)
    person.goto(f"{product.url}/dashboard/")
    person.get_by_role("link", name=f"Project {texts.id}").click()
    expect(person.get_by_text("The labels are not counted yet.")).to_be_visible()

    # Wrong values are explained beside their fields, and start nothing.
    train(person, Tasks_in_a_queue="none", Training_steps="-3")
    expect(person.get_by_text("correct the marked settings")).to_be_visible()
    expect(person.get_by_text("Must be a whole number from 1 to 100,000.")).to_be_visible()
    expect(person.get_by_text("Must be a whole number from 0 to 100,000, not -3.")).to_be_visible()
    assert rounds(store) == []
    train(
        person,
        Training_steps="",
        Tasks_in_a_queue="12",
        or_a_mixture="entropy:0.8,random:0.2",
        Labels_that_start_a_round="2",
    )
    expect(person.locator("#train-answer")).to_contain_text("A round was asked for")
    expect(person.get_by_role("heading", name="Current version")).to_be_visible(timeout=PATIENCE)
    (first,) = until(lambda: rounds(store), "the round's line in the log")
    expect(person.locator("#overview-live .value").first).to_have_text("16", timeout=PATIENCE)
    assert (first["error"], first["labels"], first["trigger"]) == (None, 16, "asked")
    assert len(store.queue(first["queue"]).predictions) == 12
    # One truth: Label Studio shows what the form was given, and later rounds use it.
    (row,) = texts.client.backends(texts.id)
    assert row["extra_params"] == store.extra_params()
    assert store.extra_params()["strategy"] == "entropy:0.8,random:0.2"

    # People annotate, rounds follow, the page follows them.
    person.reload()
    train(person, Training_steps="20")
    until(lambda: len(rounds(store)) == 2, "the round with other hyperparameters")
    until(lambda: len(store.versions()) == 2, "its version")
    for number in range(3, 7):
        annotate(texts, 2)
        until(lambda count=number: len(rounds(store)) >= count, f"round {number}")
        assert rounds(store)[-1]["error"] is None
    last = rounds(store)[-1]
    assert store.manifest(last["version"]).training["hyperparameters"]["steps"] == 20
    expect(person.locator("#overview-live")).to_contain_text(last["version"], timeout=PATIENCE)
    expect(person.get_by_text("Go on or stop?")).to_be_visible()


def test_the_pages_of_texts(product: Product, texts: LiveProject, person: Page, label_studio: LiveLabelStudio) -> None:
    store = product.store(texts)
    person.goto(f"{product.url}/dashboard/{texts.id}/overview")
    menu = person.get_by_role("navigation")
    menu.get_by_role("link", name="Learning curve").click()
    expect(person.locator("#curve-graph .scatterlayer .trace").first).to_be_visible()
    person.get_by_label("Measure").select_option("auc")
    expect(person.locator("#curve figcaption")).to_contain_text("AUC went from")
    person.get_by_label("Version", exact=True).select_option(store.versions()[0])
    expect(person.locator("#loss figcaption")).to_contain_text(store.versions()[0])
    expect(person.locator("#loss figcaption")).to_contain_text("of 40 evaluation tasks")
    expect(person.locator("#loss-graph .scatterlayer .trace")).to_have_count(2)

    menu.get_by_role("link", name="Mistakes").click()
    expect(person.locator("#confusion .heatmaplayer image")).to_be_visible()
    wrong = person.locator("section", has=person.get_by_role("heading", name="Errors")).locator("li.task")
    expect(wrong.filter(has_text=HOSTILE)).to_have_count(1)
    assert person.evaluate("window.hacked") is None
    link = wrong.filter(has_text=HOSTILE).get_by_role("link")
    assert link.get_attribute("href") == f"{label_studio.url}/projects/{texts.id}/data?task={texts.task_ids[0]}"
    person.get_by_label("The model says").select_option("related")
    expect(wrong.filter(has_text="Model: not related")).to_have_count(0)

    menu.get_by_role("link", name="Versions").click()
    person.get_by_label("This version").select_option(store.versions()[0])
    expect(person.locator("#comparison")).to_contain_text("evaluation tasks")
    with person.expect_download() as download:
        person.get_by_role("link", name=f"Download {store.versions()[0]}").click()
    assert f"{store.versions()[0]}/example.py" in zipfile.ZipFile(download.value.path()).namelist()


def test_roll_back_and_unpin(product: Product, texts: LiveProject, person: Page) -> None:
    store = product.store(texts)
    target = store.versions()[1]
    person.goto(f"{product.url}/dashboard/{texts.id}/versions")
    person.once("dialog", lambda dialog: dialog.accept())
    person.get_by_label(f"Roll back to {target}").click()
    expect(person.locator("#version-answer")).to_contain_text("will be served")
    until(lambda: store.current().pinned == target, "the rollback")
    assert texts.project.model_version == store.current().queue
    expect(person.get_by_role("button", name="A round has ended")).to_be_visible(timeout=PATIENCE)
    person.get_by_role("button", name="A round has ended").click()
    expect(person.locator("tr", has_text=target)).to_contain_text("in use, pinned")
    person.get_by_role("link", name="Overview").click()
    person.get_by_role("button", name=f"Unpin {target}").click()
    until(lambda: store.current().pinned is None and store.current().version != target, "the newest version again")


def test_the_doctor_and_two_people(product: Product, texts: LiveProject, person: Page, browser: Browser) -> None:
    person.goto(f"{product.url}/dashboard/{texts.id}/overview")
    person.get_by_role("button", name="Run the doctor").click()
    expect(person.locator("#doctor-result")).to_contain_text(re.compile("Warning|Error|are fine"), timeout=PATIENCE)
    context, other, _ = visitor(browser, product)
    other.goto(f"{product.url}/dashboard/{texts.id}/overview")
    before = len(rounds(product.store(texts)))
    for page in (person, other):
        page.get_by_role("button", name="Train now").click()
    for page in (person, other):
        expect(page.locator("#train-answer")).to_contain_text(re.compile("asked for|under way"))
    context.close()
    until(lambda: len(rounds(product.store(texts))) > before, "the round")


def test_the_pages_of_images(
    product: Product, images: LiveProject, person: Page, label_studio: LiveLabelStudio
) -> None:
    """The click leads to the very task, in Label Studio's own page."""
    person.goto(f"{product.url}/dashboard/{images.id}/overview")
    train(person, Tasks_in_a_queue="6", Training_steps="20")
    expect(person.get_by_role("heading", name="Current version")).to_be_visible(timeout=PATIENCE)
    person.get_by_role("link", name="Mistakes").click()
    first = person.locator("section", has=person.get_by_role("heading", name="Errors")).locator("li.task").first
    image = first.locator("img")
    expect(image).to_be_visible()
    until(lambda: image.evaluate("shown => shown.naturalWidth") == 28, "the image")
    address = first.get_by_role("link").get_attribute("href")
    context = person.context.browser.new_context()
    studio = context.new_page()
    studio.goto(f"{label_studio.url}/user/login/")
    studio.fill("input[name=email]", label_studio.email)
    studio.fill("input[name=password]", label_studio.password)
    studio.keyboard.press("Enter")
    studio.wait_for_url(lambda url: "/user/login" not in url)
    studio.goto(address)
    assert shown_task(studio) == int(address.rpartition("=")[2])
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_accessible_in_both_themes_and_fits_a_phone(
    product: Product, texts: LiveProject, images: LiveProject, browser: Browser, scheme: str, width: int
) -> None:
    context, page, wrong = visitor(browser, product, color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    addresses = ["", *(f"{texts.id}/{each.path}" for each in PAGES), f"{images.id}/mistakes", "99/overview"]
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for address in addresses:
        page.goto(f"{product.url}/dashboard/{address}")
        expect(page.locator("main h1")).to_be_visible()
        page.wait_for_load_state("networkidle") if "curve" in address else None
        closed = page.locator("details:not([open]) > summary")
        while closed.count():  # each that is opened is none of them any more
            closed.first.click()
        accessible(page, f"{address}, {scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{address} is wider than the screen"
        page.screenshot(path=ARTEFACTS / f"dashboard-{address.replace('/', '-')}-{scheme}.png", full_page=True)
    context.close()
    assert wrong == []


def test_fifty_thousand_tasks_and_a_hundred_classes(browser: Browser, tmp_path: Path) -> None:
    """Of classes whose names are hostile: all of them in the legend, as text; nothing is wider than a phone."""
    classes = tuple(f"{HOSTILE} {number}" for number in range(100))
    store = make_store(tmp_path, labels=classes, versions=1, evaluated=300, open_tasks=100)
    store.write_map(store.versions()[0], some_map(MOST, 100, pool=50_000))
    app = ServedApp(create_app(Settings(model_dir=tmp_path, poll_seconds=0)))
    context = browser.new_context(viewport={"width": 390, "height": 844})
    tab = context.new_page()
    wrong = errors_of(tab, console=False)
    tab.goto(f"{app.url}/dashboard/1/map")
    expect(tab.locator("#map-caption")).to_contain_text("10,000 of 50,000 tasks")
    tab.get_by_role("button", name="Prediction").click()
    expect(tab.locator("#map-legend li")).to_have_count(100)
    expect(tab.locator("#map-legend li").first).to_contain_text(classes[0])
    for page in ("mistakes", "queue", "search", "overview"):
        tab.goto(f"{app.url}/dashboard/1/{page}")
        expect(tab.locator("main h1")).to_be_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390, page
    assert tab.evaluate("window.hacked") is None
    context.close()
    app.close()
    assert wrong == []


def test_without_a_mouse(product: Product, texts: LiveProject, person: Page) -> None:
    person.goto(f"{product.url}/dashboard/{texts.id}/overview")
    expect(person.locator("main h1")).to_be_visible()
    person.keyboard.press("Tab")
    expect(person.locator(":focus")).to_have_text("Skip to the content")
    for _ in range(4):
        person.keyboard.press("Tab")
        if person.locator(":focus").inner_text() == "Learning curve":
            break
    person.keyboard.press("Enter")
    expect(person.locator("main h1")).to_have_text("Learning curve")


def test_strangers_see_nothing(product: Product, browser: Browser) -> None:
    context = browser.new_context()
    answer = context.request.get(f"{product.url}/dashboard/")
    assert answer.status == 401
    context.close()
