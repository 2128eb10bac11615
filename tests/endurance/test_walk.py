"""The way of the tutorial with digits and with photographs, answered on Label Studio's page, every page looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from support.label_studio import LiveLabelStudio
from support.walking import World, walk
from support.walks import digits, groceries


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["digits", "photographs"])
def test_the_whole_way(
    kind: str, install, run, page: Page, browser: Browser, label_studio: LiveLabelStudio, shared_data: Path, tmp_path
) -> None:
    world = World(install(queue_size=40), run, page, browser, label_studio, tmp_path)
    brought = digits(tmp_path, 1_000, shared_data) if kind == "digits" else groceries(tmp_path, 300, shared_data)
    walk(world, brought, f"Walk: many {kind}")
