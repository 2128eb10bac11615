"""Time the dashboard as people feel it: a made-up project of 10,000 tasks, in a real Chromium, on its own server.

An interaction lasts from the input to the frame that shows its result; WebGL's share of it is waited for. Playwright
drives the browser, but the page's own clock is read.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import numpy as np
import typer
from playwright.sync_api import Browser, HttpCredentials, Page, sync_playwright
from processes import LOCALHOST, ServerProcess, free_port
from rich.table import Table

from bench.dashboard_store import make_store, some_map
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.errors import ConfigurationError

SERVE: Final = Path(__file__).parent / "serve.py"
FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PAINT_GOAL, INTERACTION_GOAL = 1_000.0, 100.0
"""Milliseconds."""
VERSIONS: Final = 10
SETTLE: Final = 250
"""Milliseconds between two interactions: nobody is faster, and one must not wait for another's rest."""

PROBE: Final = """
window.probe = {painted: {}};
for (const kind of ['pointermove', 'pointerup', 'click', 'change', 'input']) {
  window.addEventListener(kind, (event) => { if (!window.probe.began) window.probe.began = event.timeStamp; }, true);
}
// Starts a measurement: ready() is asked in each frame after the next input.
window.probe.until = (ready) => {
  window.probe.began = window.probe.seen = 0;
  window.probe.took = new Promise((resolve) => {
    const look = () => {
      if (window.probe.began && !window.probe.seen && document.querySelector('nav .going')) {
        const seen = new MessageChannel();
        seen.port1.onmessage = () => { window.probe.seen = performance.now() - window.probe.began; };
        seen.port2.postMessage(0);
      }
      if (!window.probe.began || !ready()) return requestAnimationFrame(look);
      const channel = new MessageChannel();  // its message comes when this frame is out
      channel.port1.onmessage = () => {
        const canvas = document.getElementById('map-canvas');
        const gl = canvas && canvas.getContext('webgl');
        if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
        resolve(performance.now() - window.probe.began);
      };
      channel.port2.postMessage(0);
    };
    requestAnimationFrame(look);
  });
};
const heading = () => (document.querySelector('main h1') || {}).textContent;
window.probe.heading = heading;
new MutationObserver(() => {
  const drawn = document.getElementById('map-caption');
  if (heading() && !window.probe.painted.content && (!drawn || drawn.textContent)) {
    window.probe.painted.content = performance.now();
  }
}).observe(document, {childList: true, subtree: true, characterData: true});
"""


@dataclass
class Times:
    """Milliseconds of what was done, by name."""

    goals: dict[str, float] = field(default_factory=dict)
    found: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, goal: float, milliseconds: float) -> None:
        """Note one."""
        self.goals[name] = goal
        self.found.setdefault(name, []).append(milliseconds)


app = new_app()


@app.command()
@tell_errors
def main(
    points: Annotated[int, typer.Option(min=200, help="Tasks of the pool; a map shows 10,000 at most.")] = 10_000,
    classes: Annotated[int, typer.Option(min=2, max=1_000, help="Labels to choose from.")] = 10,
    repeats: Annotated[int, typer.Option(min=1, help="How often each thing is done.")] = 15,
    kind: Annotated[str, typer.Option(help="Text or Image.")] = "Text",
) -> None:
    """Print median and 95th percentile of first paints and interactions, and how they compare with the goals."""
    times = Times()
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder), points, classes, kind) as url, chromium() as b:
        for _ in range(repeats):
            for page in ("overview", "map", "queue"):
                _first_visit(b, f"{url}1/{page}", page, times)
        tab = new_tab(b)
        for _ in range(repeats):
            show_pages(tab, f"{url}1/", times)
        _map(tab, url, repeats, times)
    _print(times, points, classes, kind)


@contextmanager
def _served(root: Path, points: int, classes: int, kind: str) -> Iterator[str]:
    """The dashboard of a made-up project, in a process of its own."""
    labels = tuple(f"class {number}" for number in range(classes))
    evaluated = points // 10
    store = make_store(
        root, kind=kind, labels=labels, versions=VERSIONS, evaluated=evaluated, open_tasks=points - evaluated - 200
    )
    for seed, version in enumerate(store.versions()):
        store.write_map(version, some_map(min(points, 10_000), classes, pool=points, seed=seed))
    port = free_port()
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO", "BASIC_AUTH"))}
    env = keep | {"MODEL_DIR": str(root)}
    command = [sys.executable, str(SERVE), "--host", LOCALHOST, "--port", str(port)]
    with ServerProcess("The dashboard", command, log=root / "server.log", env=env) as server:
        server.wait_healthy(f"http://{LOCALHOST}:{port}/health")
        yield f"http://{LOCALHOST}:{port}/dashboard/"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, to be closed at the end."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise ConfigurationError("No Chromium: install Debian's package chromium, or set CHROMIUM to its path.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def new_tab(browser: Browser, login: HttpCredentials | None = None) -> Page:
    """A tab that measures; ``login`` is the server's basic auth."""
    tab = browser.new_context(viewport={"width": 1280, "height": 900}, http_credentials=login).new_page()
    tab.add_init_script(PROBE)
    return tab


def _first_visit(browser: Browser, address: str, page: str, times: Times) -> None:
    """With nothing in the browser's cache."""
    tab = new_tab(browser)
    tab.goto(address)
    tab.wait_for_function("() => window.probe.painted.content")
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    times.add(f"{page}: first paint", PAINT_GOAL, tab.evaluate(paint))
    times.add(f"{page}: content", PAINT_GOAL, tab.evaluate("window.probe.painted.content"))
    tab.context.close()


def _timed(tab: Page, ready: str, act: Callable[[], object]) -> float:
    tab.wait_for_timeout(SETTLE)
    tab.evaluate(f"() => window.probe.until(() => {ready})")
    act()
    return float(tab.evaluate("() => window.probe.took"))


def show_pages(tab: Page, url: str, times: Times, goal: float = PAINT_GOAL) -> None:
    """Through the menu, page after page; ``url`` is a project's."""
    tab.goto(f"{url}{PAGES[-1].path}")
    tab.wait_for_function("() => window.probe.painted.content")
    for page in PAGES:
        link = tab.get_by_role("navigation").get_by_role("link", name=page.title, exact=True)
        ready = f"window.probe.heading() === '{page.title}'"
        if page.path == "map":
            ready += " && (document.getElementById('map-caption') || {textContent: 'no map yet'}).textContent"
        # A page is a page: what has to come at once is the menu's answer.
        times.add(f"{page.title}: shown after a click", goal, _timed(tab, ready, link.click))
        times.add("menu: the click is seen", INTERACTION_GOAL, tab.evaluate("() => window.probe.seen"))


def _map(tab: Page, url: str, repeats: int, times: Times) -> None:
    tab.goto(f"{url}1/map")
    tab.wait_for_function("() => window.probe.painted.content")
    box = tab.locator("#map-over").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    draws = np.random.default_rng(0)
    for turn in range(repeats):
        for name in ("Label", "Prediction", "Uncertainty", "State"):
            button = tab.get_by_role("button", name=name, exact=True)
            times.add("map: another colour", INTERACTION_GOAL, _timed(tab, "true", button.click))
        task = int(draws.integers(1, 5_000))
        place = tab.evaluate("task => dash_clientside.pool_map.where(task)", task)
        tab.mouse.move(*middle)
        shows = "document.getElementById('map-tip') && !document.getElementById('map-tip').hidden"
        tab.mouse.move(box["x"] + 2, box["y"] + 2)
        hover = _timed(tab, shows, lambda spot=place: tab.mouse.move(spot["x"], spot["y"]))
        times.add("map: hover shows a task", INTERACTION_GOAL, hover)
        times.add("map: lasso", INTERACTION_GOAL, _lasso(tab, middle))
        times.add("map: selection undone", INTERACTION_GOAL, _timed(tab, "true", tab.get_by_text("Clear").click))
        tab.locator("#map-slider").focus()
        key = "ArrowLeft" if turn % 2 else "ArrowRight"
        tab.keyboard.press("ArrowLeft" if key == "ArrowRight" else "ArrowRight")
        tab.wait_for_timeout(4 * SETTLE)
        times.add(
            "map: another version begins", INTERACTION_GOAL, _timed(tab, "true", lambda k=key: tab.keyboard.press(k))
        )
        tab.wait_for_timeout(4 * SETTLE)
    for frame in _frames(tab, middle):
        times.add("map: a frame while it is moved", INTERACTION_GOAL, frame)


def _lasso(tab: Page, middle: tuple[float, float]) -> float:
    """Around the middle, some hundred points."""
    x, y = middle
    tab.mouse.move(x - 90, y - 90)
    tab.mouse.down()
    for dx, dy in ((90, -90), (90, 90), (-90, 90)):
        tab.mouse.move(x + dx, y + dy, steps=8)
    return _timed(tab, "!/Draw/.test(document.getElementById('map-count-told').textContent)", tab.mouse.up)


def _frames(tab: Page, middle: tuple[float, float]) -> list[float]:
    """Milliseconds between frames while the map follows the mouse."""
    tab.get_by_role("button", name="Move", exact=True).click()
    tab.evaluate(
        """() => {
      window.probe.frames = [];
      let last = performance.now();
      const look = (now) => { window.probe.frames.push(now - last); last = now; requestAnimationFrame(look); };
      requestAnimationFrame(look);
    }"""
    )
    tab.mouse.move(*middle)
    tab.mouse.down()
    for step in range(60):
        tab.mouse.move(middle[0] + 3 * step, middle[1] + 2 * step)
    tab.mouse.up()
    return [float(value) for value in tab.evaluate("() => window.probe.frames.slice(2)")]


def _share_of_a_core() -> float:
    """CPU time by wall time of a second of computing: how much of a core other processes leave to one."""
    began, used = time.perf_counter(), time.process_time()
    while time.perf_counter() < began + 1:
        pass
    return (time.process_time() - used) / (time.perf_counter() - began)


def _print(times: Times, points: int, classes: int, kind: str) -> None:
    load = " / ".join(f"{value:.1f}" for value in os.getloadavg())
    title = (
        f"{points:,} tasks, {classes} classes, {kind}; {os.cpu_count()} cores, load {load}, of which a busy process "
    )
    title += f"gets {_share_of_a_core():.0%} of one"
    table = Table(title=title)
    for heading in ("what", "n", "median, ms", "p95, ms", "goal, ms", "p95 / goal"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for name, found in times.found.items():
        goal, high = times.goals[name], float(np.percentile(found, 95))
        row = f"{len(found)}", f"{median(found):.0f}", f"{high:.0f}", f"{goal:.0f}", f"{high / goal:.2f}"
        table.add_row(name, *row)
    console.print(table)


if __name__ == "__main__":
    app()
