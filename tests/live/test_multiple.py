"""Answers of several choices in a real Label Studio: from the cold start to guesses that are sets."""

from datetime import timedelta

import pytest
from support.rounds import Live, has_warning, queued

from ml_backend.dashboard.reading.mistakes import read_mistakes
from ml_backend.exporting.export import read_export
from ml_backend.label_sets import pack, unpack
from ml_backend.label_studio.answers import read_answer
from ml_backend.project_settings import ProjectSettings
from ml_backend.records import CONTROL
from ml_backend.rounds.run import Workspace

CONFIG = """<View><Text name="text" value="$text"/><Choices name="topics" toName="text" choice="multiple">
<Choice value="water"/><Choice value="sport"/><Choice value="night"/></Choices></View>"""
WORDS = {"water": "flood in the river", "sport": "football match", "night": "late after midnight"}
SETS = [("water",), ("sport", "night"), (), ("water", "night"), ("sport",), ("water", "sport", "night")]
FAST = ProjectSettings(
    strategy="entropy", text_model="headlines", queue_size=6, samples=4, control_share=0, hyperparameters={"steps": 60}
)


def text(labels, number):
    return f"{', '.join(WORDS[label] for label in labels) or 'nothing of note'}, story {number}"


@pytest.fixture
def live(make_project, tmp_path):
    tasks = [{"text": text(SETS[n % 6], n), **({"split": "evaluation"} if n >= 36 else {})} for n in range(48)]
    project = make_project(tasks=tasks, config=CONFIG)
    return Live(project, Workspace(project.client, tmp_path, FAST, keep_queues=timedelta(0)))


def answer(live, places):
    question = live.project.question
    for n in places:
        chosen = list(SETS[n % 6])
        region = {"id": "c", "from_name": "topics", "to_name": "text", "type": "choices", "value": {"choices": chosen}}
        live.client.annotate(live.ids[n], [region] if chosen else [])
    return question


def test_a_project_of_several_choices(live):
    has_warning(live.round(), "there are no labels yet")
    question = answer(live, [*range(18), *range(36, 48)])
    report = live.round(overrides={"recheck": 5, "control_share": 0.3})
    assert (report.trained, report.published, report.labels) == (True, True, 18)
    assert report.label_counts == {"water": 9, "sport": 9, "night": 9}
    assert set(queued(report)) <= set(live.ids[18:36])
    assert report.metrics["f_macro"] > 0.9
    assert report.metrics["f_micro"] > 0.9
    assert report.doubted is not None
    served = live.client.next_task(live.project.id)
    assert served["id"] == queued(report)[0]
    for item in report.queue.predictions:
        (row,) = [row for row in live.client.predictions(live.project.id) if row["task"] == item.task_id][-1:]
        shown = "" if item.picked_by == CONTROL else item.label
        assert read_answer(row["result"], question).label == shown, "control tasks show no guess"
    again = live.round(overrides={"strategy": "auto"})
    assert (again.trained, again.published) == (False, True)
    assert "auto" in again.queue.name
    places = {task: n for n, task in enumerate(live.ids)}
    right = [unpack(item.label) == ordered(SETS[places[item.task_id] % 6]) for item in again.queue.predictions]
    assert sum(right) >= 4
    _export(live, places)
    _mistakes(live)
    _back_to_one_choice(live, again)
    _to_several_again(live, again)


def ordered(labels):
    return tuple(label for label in WORDS if label in labels)


def _export(live, places):
    rows = read_export(live.client, live.project.id, live.store).rows
    assert len(rows) == 30
    for row in rows:
        assert tuple(row["label"]) == tuple(row["consensus_label"]) == ordered(SETS[places[row["task_id"]] % 6])


def _mistakes(live):
    found = read_mistakes(live.store)
    assert found["problem"] is None
    assert {row["label"]: row["given"] for row in found["by_class"]} == {"water": 6, "sport": 6, "night": 6}
    assert found["drawn"] == []


def _back_to_one_choice(live, before):
    """Too few answers have exactly one label of two kinds: nothing can be trained, and the order stands."""
    change = {"label_config": CONFIG.replace("multiple", "single")}
    live.client.request("PATCH", f"api/projects/{live.project.id}", body=change, what="The project")
    for task in live.client.export(live.project.id):
        for given in task["annotations"]:
            if [region["value"]["choices"] for region in given["result"]] == [["water"]]:
                live.client.delete_annotation(given["id"])
    report = live.round()
    has_warning(report, "no longer takes several choices")
    has_warning(report, "another number of choices", "The old order stands")
    assert live.now.model_version == before.queue.name


def _to_several_again(live, before):
    """From one choice to several, with a label renamed: both are told, and what can be learnt is."""
    config = CONFIG.replace("night", "dark")
    live.client.request("PATCH", f"api/projects/{live.project.id}", body={"label_config": config}, what="The project")
    report = live.round()
    has_warning(report, 'now has choice="multiple"')
    has_warning(report, "'night' (", "the other labels of their sets count")
    assert live.now.model_version != before.queue.name
    assert {item.label for item in report.queue.predictions} <= {"", "sport", "water", pack(["water", "sport"], ())}
    assert report.label_counts.get("dark", 0) == 0
