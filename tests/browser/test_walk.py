"""The way of the tutorial, as a new user walks it in Chromium: from no project to a file of labels, with texts. On the
way the pages of the dashboard are looked at, on a wide screen and a phone, light and dark, and what they count is what
was answered. The walks with digits and photographs are in tests/endurance.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page
from support.label_studio import LiveLabelStudio
from support.walking import World, walk
from support.walks import tickets


def test_the_way_of_the_tutorial(
    install, run, page: Page, browser: Browser, label_studio: LiveLabelStudio, tmp_path: Path
) -> None:
    # A map of a hundred tasks is drawn by UMAP, whose first start takes as long as all rounds here.
    world = World(install(queue_size=40), run, page, browser, label_studio, tmp_path)
    walk(world, tickets(tmp_path, 98), "Walk: tickets")
