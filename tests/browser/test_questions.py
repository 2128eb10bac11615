"""Several questions on one real page: all guesses are there, the person submits all, and the next round knows each."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from support.pages import shown_task

from ml_backend.config import ProjectSettings, load_settings
from ml_backend.errors import LabelConfigError
from ml_backend.exporting.export import read_export
from ml_backend.label_sets import pack, unpack
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.predictor import Predictor
from ml_backend.records import Wanted
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import ProjectStore

CONFIG = """<View><Text name="text" value="$text"/><Labels name="who" toName="text"><Label value="Person"/></Labels>
<Choices name="topic" toName="text" value="$topics"/>
<Rating name="stars" toName="text" maxRating="4"/>
<Taxonomy name="kind" toName="text" maxUsages="1" leafsOnly="true"><Choice value="Short"><Choice value="note"/></Choice>
<Choice value="Long"><Choice value="essay"/></Choice></Taxonomy>
<Choices name="sort" toName="text" allowNested="true">
<Choice value="A"><Choice value="A1"/><Choice value="A2"/></Choice><Choice value="B"/></Choices>
<Choices name="tags" toName="text" choice="multiple"><Choice value="loud"/><Choice value="dull"/><Choice value="new"/>
</Choices><TextArea name="why" toName="text"/></View>"""
ANSWERS = {"topic": ("sport", "money"), "stars": ("2", "4"), "kind": ("note", "essay"), "sort": ("A1", "B")}
ANSWERS["tags"] = (pack(["loud", "new"], ["loud", "dull", "new"]), "")
"""Of each question, by the cloud that a task's numbers are of; of the second no tag fits."""
TOPICS = [{"value": "sport"}, {"value": "money"}]
"""Come with each task."""
PARAMS = {"embedding_field": "numbers", "question": ",".join(ANSWERS)}
ODD = [{"data": {"text": "odd", "numbers": odd, "topics": TOPICS}} for odd in ([1, 2, 3], "nothing", [1, None, 2, 3])]
"""Tasks whose numbers cannot be used."""
WANTED = Wanted(embedding_field="numbers", options=json.dumps({"topics": TOPICS}))
QUESTIONS = {name: parse_label_config(CONFIG, wanted=replace(WANTED, question=name)) for name in ANSWERS}
CHECKED = "() => [...document.querySelectorAll('.lsf-choices input')].filter(box => box.checked).map(box => box.name)"


def rows(count=60, answered=24):
    """Tasks of two clouds; of the answered ones every third is without stars."""
    draws = np.random.default_rng(0)
    for number in range(count):
        cloud = number % 2
        numbers = (draws.normal(0, 0.2, 4) + np.array([3, 1 + 3 * cloud, 1, 2])).round(4).tolist()
        row = {"data": {"text": f"text {number}", "numbers": numbers, "topics": TOPICS}}
        if number < answered:
            given = [name for name in ANSWERS if name != "stars" or number % 3]
            result = [
                part | {"id": f"page-{name}"}
                for name in given
                for part in annotation_result(ANSWERS[name][cloud], QUESTIONS[name])
            ]
            row["annotations"] = [{"result": result}]
        yield row


def test_five_questions_are_guessed_answered_and_learnt(page, label_studio, make_project, tmp_path):
    project = make_project("Questions", config=CONFIG)
    data = list(rows())
    ids = project.client.import_tasks(project.id, data)
    odd = project.client.import_tasks(project.id, ODD)
    clouds = {task: place % 2 for place, task in enumerate(ids)}
    by_id = {task: dict(row["data"]) for task, row in zip(ids, data, strict=True)}
    settings = ProjectSettings().override({**PARAMS, "queue_size": 10, "map": False, "control_share": 0}, where="Test")
    workspace = Workspace(project.client, tmp_path, settings, keep_queues=timedelta(0))
    report = run_round(workspace, RoundRequest(project.id))
    (step,) = [step for step in report.steps if step.name == "fit others"]
    none = "of none of its choices"
    assert step.detail == f'"stars": 16 labels; "kind": 24 labels; "sort": 24 labels; "tags": 24 labels (12 {none})'
    assert sorted(report.left_out) == odd, report.left_out

    page.goto(f"{label_studio.url}/projects/{project.id}/data")
    page.get_by_role("button", name="Label All Tasks").click()  # by its address alone a page may go by a tab's order
    task = shown_task(page)
    (queued,) = [item for item in report.queue.predictions if item.task_id == task]
    cloud = clouds[task]
    assert queued.label == ANSWERS["topic"][cloud]
    page.wait_for_function(f"label => ({CHECKED})().includes(label)", arg=queued.label)
    page.get_by_text(ANSWERS["kind"][cloud], exact=True).first.wait_for()
    tags = list(unpack(ANSWERS["tags"][cloud]))
    assert [name for name in page.evaluate(CHECKED) if name in ("loud", "dull", "new")] == tags
    page.locator("[class*=text-area] input, textarea").first.fill("because")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Submit").first.click()
    shown_task(page, after=task)

    (row,) = project.client.tasks_of(project.id, [task])
    (annotation,) = row["annotations"]
    given = {part["from_name"]: part["value"] for part in annotation["result"]}
    assert given["topic"] == {"choices": [ANSWERS["topic"][cloud]]}
    assert given["stars"] == {"rating": int(ANSWERS["stars"][cloud])}
    assert given["kind"] == {"taxonomy": [["Short", "note"] if cloud == 0 else ["Long", "essay"]]}
    assert given["sort"] == {"choices": [["A", "A1"] if cloud == 0 else ["B"]]}
    assert given.get("tags") == ({"choices": tags} if tags else None)
    assert given["why"] == {"text": ["because"]}

    again = run_round(workspace, RoundRequest(project.id))
    (step,) = [step for step in again.steps if step.name == "fit others"]
    assert step.detail.startswith('"stars": 17 labels; "kind": 25 labels; "sort": 25 labels; "tags": 25 labels')
    assert f"({12 + cloud} {none})" in step.detail
    third = run_round(workspace, RoundRequest(project.id, train=False), RunOptions(dry_run=True))
    (step,) = [step for step in third.steps if step.name == "fit others"]
    assert step.detail.count("learnt before") == 4, step.detail

    store = ProjectStore(tmp_path, project.project.uid)
    store.set_extra_params(PARAMS)
    installed = load_settings(
        label_studio_url=label_studio.url, label_studio_api_key=label_studio.token, model_dir=tmp_path
    )
    new = [{"id": 10**6 + place, "data": dict(row["data"])} for place, row in enumerate(data[-2:])]
    guessed = Predictor(installed, CONFIG, project.project.uid).predict(new)
    values = [{part["from_name"]: part["value"] for part in answer["result"]} for answer in guessed]
    assert values == [
        {
            "topic": {"choices": ["sport"]},
            "stars": {"rating": 2},
            "kind": {"taxonomy": [["Short", "note"]]},
            "sort": {"choices": [["A", "A1"]]},
            "tags": {"choices": ["loud", "new"]},
        },
        {
            "topic": {"choices": ["money"]},
            "stars": {"rating": 4},
            "kind": {"taxonomy": [["Long", "essay"]]},
            "sort": {"choices": [["B"]]},
        },
    ]
    asked = [{"id": item.task_id, "data": by_id[item.task_id]} for item in again.queue.predictions]
    served = Predictor(installed, CONFIG, project.project.uid).predict(asked)
    rows_of = {row["task"]: row["result"] for row in project.client.predictions(project.id)}
    assert [answer["result"] for answer in served] == [rows_of[item["id"]] for item in asked], "as it was published"
    changed = Predictor(installed, CONFIG.replace('<Choice value="note"', '<Choice value="memo"'), project.project.uid)
    assert {part["from_name"] for part in changed.predict(new)[0]["result"]} == {"topic", "stars", "sort", "tags"}, (
        "asked otherwise"
    )
    with pytest.raises(
        LabelConfigError, match='no question named "stars"; it asks "topic", "marks", "kind", "sort", "tags"'
    ):
        Predictor(installed, CONFIG.replace('name="stars"', 'name="marks"'), project.project.uid)
    lines = read_export(project.client, project.id, store).rows
    assert {line["label"] for line in lines} == {"sport", "money"}
    told = {line["task_id"]: line["answers"] for line in lines}
    given = {name: labels[cloud] for name, labels in ANSWERS.items()} | {"why": "because", "tags": tags}
    assert told[task] == {"who": None, **given}
    first = {"who": None, "topic": "sport", "stars": None, "kind": "note", "sort": "A1", "why": None}
    assert told[ids[0]] == first | {"tags": ["loud", "new"]}
    assert told[ids[1]]["tags"] == []

    fresh = installed.model_copy(update={"model_dir": tmp_path / "fresh"})  # connected before any round
    assert Predictor(fresh, CONFIG, project.project.uid, Wanted.of(PARAMS)).question.labels == ("sport", "money")
    project.client.import_tasks(project.id, [{"data": {**data[0]["data"], "topics": TOPICS[:1]}}])
    order = project.client.project(project.id).model_version
    with pytest.raises(LabelConfigError, match='field "topics", but tasks have different ones'):
        run_round(workspace, RoundRequest(project.id))
    assert project.client.project(project.id).model_version == order == store.current().queue
