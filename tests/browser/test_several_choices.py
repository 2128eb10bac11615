"""Several choices, some in others, on one real page: guesses are ticked, people submit, the next round knows."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from support.pages import shown_task
from support.rounds import Live, has_warning, queued

from ml_backend.config import ProjectSettings
from ml_backend.exporting.export import read_export
from ml_backend.label_sets import pack, unpack
from ml_backend.label_studio.answers import annotation_result, read_answer
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.rounds.run import Workspace

CONFIG = """<View><Text name="text" value="$text"/>
<Choices name="topics" toName="text" choice="multiple" allowNested="true">
<Choice value="where"><Choice value="water"/><Choice value="air"/></Choice><Choice value="night"/></Choices></View>"""
LABELS = ("water", "air", "night")
SETS = [("water",), ("air", "night"), (), ("water", "air")]
TICKED = """() => [...document.querySelectorAll('.lsf-choices input')].filter(box => box.checked).map(box => box.name)
    .filter(name => name !== "where")"""


def rows(count, answered=20, judged=16):
    """Tasks whose numbers say which of the labels they have."""
    draws, question = np.random.default_rng(0), parse_label_config(CONFIG)
    for number in range(count):
        chosen = SETS[number % 4]
        has = np.array([1, *(label in chosen for label in LABELS)])
        row = {"data": {"text": f"text {number}", "numbers": (draws.normal(0, 0.05, 4) + has).round(4).tolist()}}
        row["data"] |= {"split": "evaluation"} if number < judged else {}
        given = {"annotations": [{"result": annotation_result(pack(chosen, LABELS), question)}]}
        yield row | (given if number < judged + answered else {})


def test_several_boxes_are_shown_ticked_submitted_and_learnt(page, label_studio, make_project, tmp_path):
    project = make_project("Several choices", config=CONFIG)
    ids = project.client.import_tasks(project.id, list(rows(count=60)))
    params = {"embedding_field": "numbers", "queue_size": 12, "map": False, "control_share": 0, "strategy": "entropy"}
    settings = ProjectSettings().override(params, where="Test")
    live = Live(project, Workspace(project.client, tmp_path, settings, keep_queues=timedelta(0)))
    report = live.round()
    has_warning(report, "took no annotation without a choice", "it does now")
    assert report.metrics["accuracy"] == 1.0
    guesses = {item.task_id: unpack(item.label) for item in report.queue.predictions}
    assert {guess: ids.index(task) % 4 for task, guess in guesses.items()} == {SETS[n]: n for n in range(4)}

    page.goto(f"{label_studio.url}/projects/{project.id}/data")
    page.get_by_role("button", name="Label All Tasks").click()
    given, task = {}, None
    while len(given) < 12:
        task = shown_task(page, after=task)
        assert task == queued(report)[len(given)]
        ticked = guesses[task]
        page.wait_for_function(f"labels => ({TICKED})().join() === labels", arg=",".join(ticked))
        # One person disagrees with one guess of each kind: all boxes, or none.
        others = () if ticked else LABELS
        change = not any(guesses[one] == ticked for one in given)
        for label in set(ticked) ^ set(others) if change else ():
            page.locator(f".lsf-choices input[name={label}]").click()
        given[task] = others if change else ticked
        page.get_by_role("button", name="Submit").first.click()
    page.wait_for_function("() => !document.querySelector('.lsf-choices')")

    question = project.question
    results = {row["id"]: row["annotations"][0]["result"] for row in project.client.tasks_of(project.id, list(given))}
    assert {task: read_answer(result, question).labels for task, result in results.items()} == given
    both = next(task for task, labels in given.items() if labels[:2] == ("water", "air"))
    stored = [tuple(way) for way in results[both][0]["value"]["choices"]]
    assert stored[:3] == [("where",), ("where", "water"), ("where", "air")], "the page tells the outer one as well"
    again = live.round()
    assert again.labels == report.labels + 12
    told = {row["task_id"]: tuple(row["label"]) for row in read_export(project.client, project.id, live.store).rows}
    assert {task: told[task] for task in given} == given
