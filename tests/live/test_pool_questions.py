"""Pools outside of projects that ask several questions about several texts, or take several choices."""

from __future__ import annotations

import csv

import pyarrow.parquet as pq
from support.scripts import run, tasks_of
from support.tables import LIGHT, write_table

from ml_backend.cli import export_annotations, pool, sync
from ml_backend.pool.last_pass import stored
from ml_backend.store.heads import read_heads
from ml_backend.store.project_store import ProjectStore

__all__ = ["run"]

TITLES = {"dire": "flood warning issued", "calm": "sunny days ahead"}
BODIES = {"sport": "cricket match and football", "money": "banks raise interest rates"}
TWO = """<View><Text name="title" value="$title"/><Text name="text" value="$text"/>
<Choices name="topic" toName="text"><Choice value="sport"/><Choice value="money"/></Choices>
<Choices name="mood" toName="text"><Choice value="dire"/><Choice value="calm"/></Choices></View>"""
SETS = """<View><Text name="text" value="$text"/><Choices name="about" toName="text" choice="multiple">
<Choice value="sport"/><Choice value="money"/></Choices>
<Choices name="ball" toName="text"><Choice value="yes"/><Choice value="no"/></Choices></View>"""


def region(control, labels):
    return {"from_name": control, "to_name": "text", "type": "choices", "value": {"choices": labels}}


def answer(project, regions_of):
    """Answer every task that has no answer."""
    for row in tasks_of(project):
        if not row["annotations"]:
            project.client.annotate(row["id"], regions_of(row["data"]))


def queued(project, queue):
    return [row["result"] for row in project.client.predictions(project.id) if row["model_version"] == queue]


def test_two_questions_about_two_texts(run, make_project, tmp_path):
    asked = [(mood, topic) for mood in TITLES for topic in BODIES]
    rows = [
        (f"r{number}", f"{TITLES[mood]}, page {number}", f"{BODIES[topic]}, story {number}", mood, topic)
        for number, (mood, topic) in enumerate(asked * 20)
    ]
    table = write_table(tmp_path / "rows.csv", rows, columns=("id", "title", "body", "mood", "topic"))
    truth = {row[0]: row for row in rows}
    project = make_project(config=TWO)
    to = ("--project", project.id)
    store = ProjectStore(tmp_path / "versions", project.project.uid)
    store.set_extra_params({**LIGHT, "objects": "text,title", "strategy": "entropy", "control_share": 0.2})
    told = run(pool, "connect", table, *to, "--column", "text=body").output
    assert "shown: text from body, title from title" in told
    assert "Encoder: wordllama, side by side" in told
    run(pool, "embed", *to)
    run(sync, *to, "--train", "--queue", 12)
    assert {row["data"].keys() == {"title", "text", "pool_id"} for row in tasks_of(project)} == {True}
    answer(
        project,
        lambda data: [
            region("topic", [truth[data["pool_id"]][4]]),
            region("mood", [truth[data["pool_id"]][3]]),
        ],
    )
    run(sync, *to, "--train", "--queue", 12)
    assert len(tasks_of(project)) == 24
    current = store.current()
    assert (stored(store).version, stored(store).problem, stored(store).rows) == (current.version, "", 80)
    (head,) = read_heads(store.folder, current.queue)
    assert head.question.control == "mood"
    shown = [{each["from_name"] for each in result} for result in queued(project, current.queue)]
    assert {"topic", "mood"} in shown, "guesses of rows that became tasks, to both questions"

    run(export_annotations, *to, "--out", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        exported = list(csv.DictReader(file))
    assert len(exported) == 12
    for row in exported:
        _, title, body, mood, topic = truth[row["data.pool_id"]]
        assert (row["data.title"], row["data.text"]) == (title, body)
        assert (row["answer.mood"], row["label"]) == (mood, topic)

    told = run(pool, "predict", *to, "--out", tmp_path / "out").output
    assert "mood:" in told
    found = {row["id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    right = [(row["label"] == truth[name][4], row["label_mood"] == truth[name][3]) for name, row in found.items()]
    assert len(found) == 80
    assert [sum(each) > 70 for each in zip(*right, strict=True)] == [True, True]


def test_several_choices_and_beside_them_one(run, make_project, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXT_MODEL", "auto")
    kinds = [("sport",), ("money",), ("sport", "money"), ()]
    rows = [
        (f"r{number}", f"{', '.join(BODIES[label] for label in labels) or 'quiet day'}, story {number}", labels)
        for number, labels in enumerate(kinds * 20)
    ]
    truth = {name: labels for name, _, labels in rows}
    table = write_table(tmp_path / "rows.parquet", [row[:2] for row in rows])
    project = make_project(config=SETS)
    to = ("--project", project.id)
    run(pool, "connect", table, *to)
    store = ProjectStore(tmp_path / "versions", project.project.uid)
    store.set_extra_params({**LIGHT, "control_share": 0.2})
    run(sync, *to, "--train", "--queue", 16)
    assert len(tasks_of(project)) == 16

    def chosen(data):
        labels = list(truth[data["pool_id"]])
        return [*([region("about", labels)] if labels else []), region("ball", ["yes" if "sport" in labels else "no"])]

    answer(project, chosen)
    run(sync, *to, "--train", "--queue", 16)
    assert len(tasks_of(project)) == 32
    assert (stored(store).version, stored(store).problem) == (store.current().version, "")
    told = run(pool, "predict", *to, "--out", tmp_path / "out").output
    assert "80 rows by sentences-0001" in told
    found = {row["id"]: set(row["labels"]) for row in pq.read_table(tmp_path / "out").to_pylist()}
    assert sum(found[name] == set(labels) for name, labels in truth.items()) > 60
    beside = {row["id"]: row["label_ball"] for row in pq.read_table(tmp_path / "out").to_pylist()}
    assert sum((beside[name] == "yes") == ("sport" in labels) for name, labels in truth.items()) > 60
