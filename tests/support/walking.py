"""The way of the tutorial as a new user walks it: from no project to a file of labels."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect
from support.label_studio import LiveLabelStudio
from support.pages import ARTEFACTS, shown_task
from support.waiting import until
from support.walks import Data, answer_on_the_page, visitor

from ml_backend.cli import create_project, export_annotations, import_tasks
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.rounds.evaluation_tasks import FEWEST_EVALUATED, TAB_TITLE

PATIENCE = 600_000
"""Milliseconds for a round on a busy machine: of a thousand digits it takes a minute of CPU."""
HELD_OUT = 32


class Walker:
    """A user in Label Studio: answers on its page, or, where many are needed, in the way that the page does."""

    def __init__(self, page: Page, client: LabelStudioClient, url: str, project: int, data: Data) -> None:
        self.page, self.client, self.data = page, client, data
        self.address, self.id = f"{url}/projects/{project}/data", project
        self.question = parse_label_config(client.project(project).label_config, project=project)

    def about(self, task_id: int) -> tuple[dict, str]:
        """A task, and the guess that its page shows."""
        task = self.client.request("GET", f"api/tasks/{task_id}", params={"project": self.id}).json()
        served = self.client.project(self.id).model_version
        shown = [each["result"] for each in task["predictions"] if each["model_version"] == served]
        return task, shown[0][0]["value"]["choices"][0] if shown and shown[0] else ""

    def label_all_tasks(self, count: int) -> None:
        """Press the button, and answer so many."""
        self.page.goto(self.address)
        self.page.get_by_role("button", name="Label All Tasks").click()
        answer_on_the_page(self.page, shown_task, self.about, self.data, count)

    def label_evaluation_tasks(self) -> None:
        """Two on the page, from the tab that the round made; the others as the page does."""
        tab = next(tab for tab in self.client.tabs(self.id) if tab["data"]["title"] == TAB_TITLE)
        self.page.goto(f"{self.address}?tab={tab['id']}")
        expect(self.page.get_by_text(TAB_TITLE).first).to_be_visible()
        self.page.locator("[aria-label='Toggle open']").click()
        self.page.get_by_text("Label Tasks As Displayed").click()
        done = answer_on_the_page(self.page, shown_task, self.about, self.data, 2)
        rows = [row for page in self.client.all_tasks(self.id) for row in page]
        held_out = {row["id"]: row for row in rows if row["data"].get("split") == "evaluation"}
        assert set(done) <= held_out.keys(), "the tab lists no others"
        assert not any(self.about(task)[1] for task in done), "a guess that is shown would lead the answer"
        for task in sorted(held_out.keys() - set(done)):
            self._answer(held_out[task])

    def label_more(self, count: int) -> None:
        """What is served next."""
        for _ in range(count):
            self._answer(self.client.next_task(self.id))

    def _answer(self, task: dict) -> None:
        value = {"choices": [self.data.truth(task)]}
        about = {"from_name": self.question.control, "to_name": self.question.object, "type": "choices"}
        self.client.annotate(task["id"], [about | {"value": value}])


@dataclass(frozen=True)
class World:
    """What the way leads through."""

    product: Any
    """A running `installation.Installation`."""
    run: Any
    """Runs commands: `scripts.run`."""
    page: Page
    """Of a user who is logged in at Label Studio."""
    browser: Browser
    label_studio: LiveLabelStudio
    folder: Path


def walk(world: World, brought: Data, title: str) -> None:
    """Walk it, and look at all that is shown on the way.

    Args:
        world: where.
        brought: the user's data; at least 32 tasks are held out, and 20 labelled beside.
        title: of the project.
    """
    product, run, page, browser = world.product, world.run, world.page, world.browser
    with visitor(browser, product.url) as person:
        assert "lsal create-project" in person.open()

        about = ("--config", brought.config, "--title", title)
        project = int(re.search(r"Project (\d+): ", run(create_project, *about).stdout)[1])
        imported = run(import_tasks, brought.source, "--project", project, "--evaluation", HELD_OUT).stdout
        assert f"(0 with a label, {HELD_OUT} for evaluation)" in imported
        run(create_project, *about, "--backend-url", product.url)
        user = Walker(page, world.label_studio.client, world.label_studio.url, project, brought)

        # The first order, by the button.
        overview = f"{project}/overview"
        person.open(overview)
        person.tab.get_by_role("button", name="Train now").click()
        expect(person.tab.locator("main")).to_contain_text("The first order stands.", timeout=PATIENCE)
        assert person.figures(overview) == {"Labels so far": "0", "Queue": "0 of 40"}
        person.look_at_all(project)

        # Ten answers, and the first model comes by itself.
        answers = 10
        user.label_all_tasks(answers)
        person.open(overview)
        expect(person.tab.get_by_role("heading", name="Current version")).to_be_visible(timeout=PATIENCE)
        expect(person.tab.locator("main")).to_contain_text(f"none of the {HELD_OUT} evaluation tasks is labelled yet")
        person.look_at_all(project)

        # With the evaluation tasks labelled, the next round measures.
        user.label_evaluation_tasks()
        user.label_more(10)
        answers += 10
        until(lambda: product.rounds(user)[-1]["labels"] == answers, "a round for ten more", patience=PATIENCE / 1000)
        until(lambda: not product.status(user)["running"], "its end")
        person.look_at_all(project, contrast=True)
        counted(product, person, user, answers)
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        person.open(overview)
        person.tab.screenshot(path=ARTEFACTS / f"walk_{re.sub(r'[^a-z]+', '_', title.lower())}.png", full_page=True)

        run(export_annotations, "--project", project, "--out", world.folder / "labels.csv")
        with (world.folder / "labels.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == answers + HELD_OUT
        assert sum(row["split"] == "evaluation" for row in rows) == HELD_OUT
        assert person.wrong == []


def counted(product, person, user: Walker, answers: int) -> None:
    """Every page, and the status, count what was answered."""
    project, numbers = user.id, product.status(user)["numbers"]
    assert (numbers["labels"], numbers["evaluation"], numbers["held_out"]) == (answers, HELD_OUT, HELD_OUT)
    assert HELD_OUT >= FEWEST_EVALUATED
    overview, queue = person.figures(f"{project}/overview"), person.figures(f"{project}/queue")
    assert overview["Labels so far"] == f"{answers:,}"
    assert overview["Queue"] == f"{numbers['queue']['answered']} of {numbers['queue']['size']}"
    assert (queue["Answered"], queue["Queued"]) == (str(numbers["queue"]["answered"]), str(numbers["queue"]["size"]))
    assert re.fullmatch(r"\d+\.\d%", overview["Accuracy"])
    assert f"{answers} labels · accuracy {overview['Accuracy']}" in person.open()
    for place in ("learning-curve", "versions"):
        assert overview["Accuracy"] in person.open(f"{project}/{place}"), place
    assert f"of {HELD_OUT} evaluation tasks right" in person.open(f"{project}/mistakes")
