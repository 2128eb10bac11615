"""Objects beside one text or one picture, on Label Studio's own page: served, guessed, answered, learnt, exported."""

from __future__ import annotations

import numpy as np
import pytest
from support.pages import shown_task

from ml_backend.config import ProjectSettings
from ml_backend.exporting.export import read_export
from ml_backend.importing.image_files import png_data_uri
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import ProjectStore

LABELS = ("storm", "goal")
WORDS = ("storm flood rescue", "goal match league")
ASKED = '<Choices name="c" toName="{}"><Choice value="storm"/><Choice value="goal"/></Choices></View>'
TICKED = "label => [...document.querySelectorAll('.lsf-choices input')].some(box => box.checked && box.name === label)"
LABELLED = 12


def picture(label: int, number: int) -> str:
    """Bars that stand or lie."""
    image = np.zeros((28, 28), dtype=np.uint8)
    where = slice(4 + number % 8, 10 + number % 8)
    image[(where, slice(None)) if label else (slice(None), where)] = 220
    return png_data_uri(image)


def hyper_text(label: int, number: int) -> dict:
    return {"h": f"<p>The <b>{WORDS[label]}</b> of day {number}</p>"}


def dialogue(label: int, number: int) -> dict:
    return {"p": [{"author": "a", "text": f"what {number}"}, {"author": "b", "text": f"the {WORDS[label]} {number}"}]}


def text_and_picture(label: int, number: int) -> dict:
    return {"t": f"{WORDS[label]} {number}", "i": picture(label, number)}


def pictures(label: int, number: int) -> dict:
    return {"i": [picture(label, number), picture(label, number + 3)]}


@pytest.mark.parametrize(
    ("objects", "fields", "made", "settings"),
    [
        ('<HyperText name="h" value="$h"/>', "h", hyper_text, {}),
        ('<Paragraphs name="p" value="$p" layout="dialogue"/>', "p", dialogue, {}),
        ('<Text name="t" value="$t"/><Image name="i" value="$i"/>', "t", text_and_picture, {"objects": "t,i"}),
        ('<Image name="i" valueList="$i"/>', "i", pictures, {}),
    ],
    ids=["HyperText", "Paragraphs", "Text and Image", "valueList"],
)
def test_an_object_on_the_page(objects, fields, made, settings, page, label_studio, make_project, tmp_path):
    config = f"<View>{objects}{ASKED.format(fields)}"
    project, question = make_project("Objects", config=config), parse_label_config(config)
    rows: list[dict] = [{"data": made(number % 2, number)} for number in range(2 * LABELLED)]
    for number, row in enumerate(rows[:LABELLED]):
        row["annotations"] = [{"result": annotation_result(LABELS[number % 2], question)}]
    ids = project.client.import_tasks(project.id, rows)
    chosen = ProjectSettings(queue_size=8, map=False, control_share=0, **settings)
    workspace = Workspace(project.client, tmp_path, chosen)
    first = run_round(workspace, RoundRequest(project.id)).queue.predictions[0]
    assert first.label == LABELS[ids.index(first.task_id) % 2]

    page.goto(f"{label_studio.url}/projects/{project.id}/data")
    page.get_by_role("button", name="Label All Tasks").click()
    assert shown_task(page) == first.task_id
    page.wait_for_function(TICKED, arg=first.label)
    page.get_by_role("button", name="Submit").first.click()
    shown_task(page, after=first.task_id)

    again = run_round(workspace, RoundRequest(project.id))
    assert sum(again.label_counts.values()) == LABELLED + 1
    told = read_export(project.client, project.id, ProjectStore(tmp_path, project.project.uid)).rows
    assert len(told) == LABELLED + 1
    assert {row["task_id"]: row["label"] for row in told}[first.task_id] == first.label
