"""Pages over made stores in Chromium: charts, what fits a phone, what a keyboard reaches, what `?` opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from bench.dashboard_store import make_store, some_map
from playwright.sync_api import Browser, Page, expect
from support.pages import errors_of
from support.serving import ServedApp

from ml_backend.config import Settings
from ml_backend.dashboard.documents import EXPLAINED
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.server import create_app

PHONE = {"width": 390, "height": 844}
TEXTS, IMAGES = 1, 2


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root: Path = tmp_path_factory.mktemp("stores")
    store = make_store(root, TEXTS, versions=6, evaluated=200, open_tasks=60)
    store.write_map(store.versions()[-1], some_map(300))
    worse = store.manifest(store.versions()[2])
    store.update_manifest(worse.model_copy(update={"promoted": False}))
    make_store(root, IMAGES, kind="Image", labels=tuple("0123456789"), versions=3, evaluated=200, open_tasks=60)
    app = ServedApp(create_app(Settings(model_dir=root, label_studio_api_key="k" * 40, poll_seconds=0)))
    yield f"{app.url}/dashboard"
    app.close()


@pytest.fixture(params=[("light", 1280), ("dark", PHONE["width"])], ids=["light-1280", "dark-390"])
def tab(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Colours and widths have nothing to do with each other: each of both is opened once."""
    scheme, width = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    wrong = errors_of(page)
    yield page
    context.close()
    assert wrong == []


def open_page(tab: Page, address: str) -> None:
    tab.goto(address)
    expect(tab.locator("main h1")).to_be_visible()


OVERLAPS = """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(plot => {
  const boxes = what =>
    [...plot.querySelectorAll(what)].map(found => [found.textContent, found.getBoundingClientRect()]);
  const meets = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const found = [];
  for (const axis of ['x', 'y']) {
    const numbers = boxes(`.${axis}axislayer-above text`), titles = boxes(`.g-${axis}title text`);
    const texts = numbers.map(([text]) => text);
    if (!texts.length || new Set(texts).size !== texts.length) found.push(['repeated or none', axis, ...texts]);
    for (const [title, box] of titles) for (const [text, other] of numbers)
      if (meets(box, other)) found.push([title, 'over', text]);
    numbers.forEach(([text, box], i) => numbers.slice(i + 1).forEach(([other, its]) => {
      if (meets(box, its)) found.push([text, 'over', other]); }));
  }
  return found;
})"""


def test_numbers_on_axes_are_read(tab: Page, address: str) -> None:
    for project in (TEXTS, IMAGES):
        open_page(tab, f"{address}/{project}/learning-curve")
        expect(tab.locator("#loss-graph .scatterlayer .trace").first).to_be_visible()
        for measure in ("accuracy", "f", "auc"):
            tab.get_by_label("Measure").select_option(measure)
            expect(tab.locator("#curve figcaption")).to_contain_text("went from")
            assert tab.evaluate(OVERLAPS) == [], f"{project} {measure}"
    open_page(tab, f"{address}/{TEXTS}/learning-curve")
    expect(tab.locator("#curve figcaption")).to_contain_text("1 version held back")
    joined = tab.locator("#curve-graph .scatterlayer .trace").filter(has=tab.locator(".js-line"))
    expect(joined.first.locator(".points path")).to_have_count(5)


def test_a_queue_fits_some_screens_of_a_phone(tab: Page, address: str) -> None:
    tab.set_viewport_size(PHONE)
    for project in (TEXTS, IMAGES):
        open_page(tab, f"{address}/{project}/queue")
        rows = tab.locator(".queued")
        expect(rows).to_have_count(20)
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert tab.locator("ol.queue").bounding_box()["height"] < 2.2 * PHONE["height"]
        first = rows.first
        expect(first.get_by_role("button", name="Ask next")).to_be_hidden()
        why = first.get_by_role("button", name="Why")
        why.focus()
        tab.keyboard.press("Enter")
        expect(why).to_have_attribute("aria-expanded", "true")
        expect(first.locator(".facts")).to_contain_text("(60%) or")
        drop = first.get_by_role("button", name="Drop").bounding_box()
        assert 0 <= drop["x"] <= drop["x"] + drop["width"] <= PHONE["width"]
    tab.set_viewport_size({"width": 1280, "height": 900})
    expect(tab.locator(".queued").last.get_by_role("button", name="Ask next")).to_be_visible()


def test_no_button_of_the_versions_is_cut_off(tab: Page, address: str) -> None:
    tab.set_viewport_size(PHONE)
    open_page(tab, f"{address}/{TEXTS}/versions")
    buttons = tab.locator(".table.cards").first.locator("a, button")
    assert buttons.count() == 11
    for box in (each.bounding_box() for each in buttons.all()):
        assert 0 <= box["x"] <= box["x"] + box["width"] <= PHONE["width"]
    card = tab.locator(".table.cards tbody tr").first
    assert card.locator("td[data-label='Accuracy']").inner_text().endswith("%")
    for table in tab.locator("#comparison .table").all():
        assert table.evaluate("found => found.scrollWidth <= found.clientWidth")


REACHABLE = "a[href], button, select, input:not([type=hidden]), summary, [tabindex='0']"


MARKED_AND_WATCHED = """what => {
  const wanted = [...document.querySelectorAll(what)].filter(found => !found.disabled && found.offsetParent);
  window.reached = new Set(); window.unseen = [];
  wanted.forEach(found => found.addEventListener('focus', () => {
    const style = getComputedStyle(found);
    window.reached.add(found);
    if (style.outlineStyle === 'none' || !parseFloat(style.outlineWidth)) window.unseen.push(found.outerHTML);
  }));
  window.missed = () => wanted.filter(found => !window.reached.has(found)).map(found => found.outerHTML.slice(0, 120));
  document.activeElement.blur(); window.getSelection().removeAllRanges();
  return wanted.length;
}"""


def test_a_keyboard_reaches_everything_and_shows_where_it_is(tab: Page, address: str) -> None:
    for page in PAGES:
        open_page(tab, f"{address}/{TEXTS}/{page.path}")
        while tab.locator("details:not([open]) > summary").count():
            tab.locator("details:not([open]) > summary").first.click()
        for _ in range(tab.evaluate(MARKED_AND_WATCHED, REACHABLE) + 20):
            tab.keyboard.press("Tab")
        assert tab.evaluate("window.unseen") == [], f"{page.path}: no focus is seen"
        assert tab.evaluate("window.missed()") == [], page.path


def test_a_question_mark_opens_what_it_asks(tab: Page, address: str) -> None:
    open_page(tab, f"{address}/{TEXTS}/overview")
    for name in ("accuracy", "labels saved", "going on"):
        with tab.context.expect_page() as opened:
            tab.get_by_role("link", name=f"What is said about {name}").first.click()
        shown = opened.value
        document, _, anchor = EXPLAINED[name].partition("#")
        expect(shown).to_have_url(f"{address}/docs/{document}#{anchor}")
        expect(shown.locator(f"#{anchor}")).to_be_in_viewport()
        shown.close()


def test_the_documentation_is_accessible_and_fits_a_phone(tab: Page, address: str) -> None:
    tab.set_viewport_size(PHONE)
    for name in ("", "explanation/measures", "howto/dashboard", "reference/settings"):
        open_page(tab, f"{address}/docs/{name}")
        found = Axe().run(tab, options={"resultTypes": ["violations"]})
        assert [item["id"] for item in found.response["violations"]] == [], name
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
    tab.get_by_role("link", name="Documentation").click()
    tab.get_by_role("link", name="Measures").click()
    expect(tab.locator("h1")).to_have_text("Measures")


def test_a_strategy_is_chosen_from_a_menu_or_typed(tab: Page, address: str) -> None:
    open_page(tab, f"{address}/{TEXTS}/overview")
    tab.locator("#train-settings summary").click()
    menu, typed = tab.get_by_label("Strategy", exact=True), tab.get_by_label("or a mixture", exact=True)
    expect(menu.locator("option[value=entropy]")).to_contain_text("least certain about")
    menu.select_option("margin")
    expect(typed).to_have_value("margin")
    typed.fill("margin:0.7,random:0.2")
    tab.get_by_role("button", name="Train now").click()
    expect(tab.locator(".problem").filter(has_text="add up to 0.9")).to_be_visible()
