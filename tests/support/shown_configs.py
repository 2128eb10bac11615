"""Whether Label Studio's page shows the question of a config, and our guess ticked."""

from __future__ import annotations

import base64
from typing import Any

from playwright.sync_api import Error, Page, TimeoutError
from support.label_studio import LiveLabelStudio

from ml_backend.errors import LabelStudioRejected
from ml_backend.label_studio.answers import result_for
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_fields import with_field

VERSION = "shown"
RELOADS = 3
"""Label Studio's page changes its address once or twice as it comes up; what waits in it then fails."""
TICKED = """() => [...document.querySelectorAll('.lsf-choices input')].map(
    box => [box.name, box.checked, box.offsetParent !== null])"""
CHOSEN = f"""label => {{ const boxes = ({TICKED})();
    return boxes.length ? boxes.some(box => box[1]) : document.querySelector('.lsf-choices').innerText.includes(label)
}}"""
"""Of boxes one is ticked; a menu shows what is chosen."""


def shown(page: Page, studio: LiveLabelStudio, xml: str, question: ChoiceQuestion, text: str, value: Any) -> str:
    """What is wrong with the page of a task whose field holds ``value``, which shows as ``text``; empty where nothing.

    The guess is the question's second label.
    """
    client = studio.client
    try:
        project = client.create_project("Shown", xml)
    except LabelStudioRejected as exc:
        return f"Label Studio does not take it: {exc}"
    (task,) = client.import_tasks(project.id, [{"data": with_field({}, question.field, value)}])
    result = result_for(question.labels[1], 0.9, question)
    client.create_prediction({"task": task, "score": 0.5, "model_version": VERSION, "result": result})
    client.serve_version(project.id, VERSION)
    page.goto(f"{studio.url}/projects/{project.id}/data?task={task}")
    try:
        for _ in range(RELOADS):
            try:
                _wait_for_guess(page, text, question.descriptions[1])
                break
            except TimeoutError:
                raise
            except Error:  # the page went on to another address of its own meanwhile
                page.wait_for_load_state()
    except TimeoutError as exc:
        return f"{type(exc).__name__}: {page.inner_text('body')[-300:]!r}"
    boxes = page.evaluate(TICKED)
    if boxes and [box[1] for box in boxes] != [place == 1 for place in range(len(boxes))]:
        return f"ticked: {boxes}"
    return "" if not boxes or all(box[2] for box in boxes) else f"hidden: {boxes}"


def _wait_for_guess(page: Page, text: str, label: str) -> None:
    page.wait_for_selector(".lsf-choices", timeout=60_000)
    page.wait_for_function("text => document.body.innerText.includes(text)", arg=text, timeout=60_000)
    page.wait_for_function(CHOSEN, arg=label, timeout=60_000)


def stored(question: ChoiceQuestion, text: str) -> str:
    """A text as a task holds it."""
    return text if question.encoding == "none" else base64.b64encode(text.encode()).decode()
