"""The way of the tutorial, as a new user walks it in Chromium: from no project to a file of labels, with three kinds of
data. On the way the pages of the dashboard are looked at, on a wide screen and a phone, light and dark, and what they
count is what was answered. The long walks are in tests/endurance.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from support.label_studio import LiveLabelStudio
from support.walking import World, walk
from support.walks import digits, shapes, tickets


@pytest.mark.parametrize("kind", ["texts", "digits", "photographs"])
def test_the_way_of_the_tutorial(
    kind: str, install, run, page: Page, browser: Browser, label_studio: LiveLabelStudio, data: Path, tmp_path: Path
) -> None:
    world = World(install(queue_size=40), run, page, browser, label_studio, tmp_path)
    if kind == "texts":
        walk(world, tickets(tmp_path, 110), "Walk: tickets", whole=True)
    elif kind == "digits":
        walk(world, digits(tmp_path, 100, data), "Walk: digits", whole=False, settings={"Training steps": "40"})
    else:
        walk(world, shapes(tmp_path, 100), "Walk: shapes", whole=False)
