"""Three kinds of data as a new user brings them, and what must hold on every page of the dashboard."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, TimeoutError, expect
from support.pages import errors_of
from support.places import REPOSITORY

from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.simulation.mnist_files import load_mnist
from ml_backend.simulation.photo_table import FOLDER, read_photographs

WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
SETTLED = 30_000
"""Milliseconds in which a page has settled, on a busy machine."""
TICKETS = {
    "billing": ("charged twice", "invoice is wrong", "refund my card", "pay by bank"),
    "delivery": ("parcel is late", "box came open", "courier went to the wrong street", "package is lost"),
    "something else": ("when do you open", "are you hiring", "your shop is lovely", "where is your office"),
}


@dataclass(frozen=True)
class Data:
    """What a user has: a labeling config, tasks without labels, and the right answers in the head."""

    config: Path
    source: Path
    keys: Mapping[str, str]
    """Label → key of the page."""
    truths: Mapping[str, str]
    """Field of a task → label."""
    field: str

    def truth(self, task: Mapping[str, Any]) -> str:
        """The label of a task of Label Studio's API; pictures are known by the bytes that they carry."""
        return self.truths[task["data"][self.field]]


def tickets(folder: Path, count: int) -> Data:
    """Texts, with the labeling config and the classes of the tutorial."""
    config = folder / "tickets.xml"
    text = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
    config.write_text(re.findall(r"```xml\n(.*?)```", text, re.S)[0], encoding="utf-8")
    names = list(TICKETS)
    rows = {f"{TICKETS[names[n % 3]][n // 3 % 4]}, number {n}": names[n % 3] for n in range(count)}
    source = folder / "tickets.csv"
    source.write_text("text\n" + "".join(f'"{row}"\n' for row in rows), encoding="utf-8")
    return Data(config, source, dict(zip(names, "123", strict=True)), rows, "text")


def digits(folder: Path, count: int, known: Path) -> Data:
    """A folder of pictures of digits."""
    images, labels, _ = load_mnist(known)
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    (folder / "digits").mkdir()
    for number in chosen:
        Image.fromarray(images[number]).save(folder / "digits" / f"{number:05}.png")
    names = {f"{number:05}.png": str(labels[number]) for number in chosen}
    keys = {str(digit): str(digit) for digit in range(10)}
    return Data(REPOSITORY / "label_configs" / "mnist.xml", folder / "digits", keys, names, "file")


def groceries(folder: Path, count: int, known: Path) -> Data:
    """A folder of real photographs of twelve kinds of groceries."""
    config = REPOSITORY / "label_configs" / "photos.xml"
    keys = dict(re.findall(r'value="([^"]+)" hotkey="(.)"', config.read_text(encoding="utf-8")))
    rows = read_photographs(known)
    (folder / "groceries").mkdir()
    truths = {}
    for number in np.random.default_rng(0).permutation(len(rows))[:count]:
        name = f"{number:05}.jpg"
        shutil.copy(known / FOLDER / rows[number].path, folder / "groceries" / name)
        truths[name] = rows[number].label
    return Data(config, folder / "groceries", keys, truths, "file")


PROBLEMS = """width => {
  const found = [], main = document.querySelector('main'), text = main.innerText;
  const whole = document.documentElement.scrollWidth;
  const words = text.match(/\\b(undefined|NaN|None|null|Infinity)\\b|\\[object|Loading/g);
  if (words) found.push(['words', ...words]);
  if (text.length < 60) found.push(['hardly any content', text]);
  if (whole > width) found.push(['scrolls sideways', whole]);
  for (const each of main.querySelectorAll('a, button, h1, h2, p, dd, dt, select, input:not([type=hidden]), summary')) {
    const box = each.getBoundingClientRect();
    if (!box.width || each.closest('.table, .js-plotly-plot, .hidden-text')) continue;
    if (box.left < -1 || box.right > width + 1) found.push(['cut off', each.outerHTML.slice(0, 120)]);
  }
  return found;
}"""
"""What is wrong with what a page shows, at the present width."""
FIGURES = """() => Object.fromEntries([...document.querySelectorAll('main .figures > div')].map(each =>
  [each.querySelector('dt').firstChild.textContent.trim(), each.querySelector('dd.value').innerText]))"""


class Visitor:
    """A person at the dashboard, who looks at all pages; what goes wrong in the browser is kept."""

    def __init__(self, tab: Page, address: str) -> None:
        self.tab, self.address = tab, address
        self.wrong = errors_of(tab)

    def open(self, place: str = "") -> str:
        """Open a page; its words."""
        self.tab.goto(f"{self.address}/dashboard/{place}")
        expect(self.tab.locator("main h1")).to_be_visible()
        if self.tab.locator("#map-caption").count():
            expect(self.tab.locator("#map-caption")).not_to_be_empty()
        return self.tab.locator("main").inner_text()

    def look(self, place: str, *, contrast: bool = False) -> None:
        """Open a page and look at it at all widths, light and dark."""
        self.open(place)
        for scheme in SCHEMES:
            self.tab.emulate_media(color_scheme=scheme)
            for width in WIDTHS:
                self.tab.set_viewport_size({"width": width, "height": 900})
                assert self._problems(width) == [], f"{place}, {width} pixels, {scheme}"
            if contrast:
                rules = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
                found = Axe().run(self.tab, options=rules).response["violations"]
                assert [node["html"] for each in found for node in each["nodes"]] == [], f"{place}, {scheme}"

    def _problems(self, width: int) -> list[list[str]]:
        """What is wrong once the page has settled: charts follow the window a moment later."""
        with suppress(TimeoutError):
            self.tab.wait_for_function(f"width => !({PROBLEMS})(width).length", arg=width, timeout=SETTLED)
        found: list[list[str]] = self.tab.evaluate(PROBLEMS, width)
        return found

    def look_at_all(self, project: int, *, contrast: bool = False) -> None:
        """All pages of a project."""
        for page in PAGES:
            self.look(f"{project}/{page.path}", contrast=contrast)
        assert self.wrong == []

    def figures(self, place: str) -> dict[str, str]:
        """The large figures of a page, by name."""
        self.open(place)
        found: dict[str, str] = self.tab.evaluate(FIGURES)
        return found


@contextmanager
def visitor(browser: Browser, address: str) -> Iterator[Visitor]:
    """A person at the dashboard."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": 900})
    yield Visitor(context.new_page(), address)
    context.close()


def answer_on_the_page(page: Page, shown: Callable[..., int], about: Callable[[int], Any], data: Data, count: int):
    """Answer so many tasks of Label Studio's page by keyboard; their ids.

    Args:
        page: where the first task is on its way to the screen.
        shown: waits for a task and tells its id.
        about: the task as Label Studio's API tells it, and the guess that the page shows (empty: none).
        data: knows keys and answers.
        count: how many.
    """
    done: list[int] = []
    for _ in range(count):
        done.append(shown(page, after=done[-1] if done else None))
        task, guess = about(done[-1])
        expect(page.get_by_role("checkbox", checked=True)).to_have_count(1 if guess else 0)
        if guess != data.truth(task):
            page.keyboard.press(data.keys[data.truth(task)])
        with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST") as answer:
            page.keyboard.press("Control+Enter")
        assert answer.value.status == 201
    return done
