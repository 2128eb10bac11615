"""Another model's predictions order a real Label Studio: boxes and spans, odd ones too, and what people correct."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.detections import CONFIG, box
from support.rounds import has_warning, queued, round_of

from ml_backend.config import ProjectSettings, Settings
from ml_backend.doctor.order_proof import prove_order
from ml_backend.errors import ConfigurationError, LabelConfigError
from ml_backend.exporting.export import read_export
from ml_backend.predictor import Predictor
from ml_backend.records import CONTROL
from ml_backend.rounds.log import last_seen
from ml_backend.rounds.predicted.wanted import look_at
from ml_backend.rounds.record import record_round
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.tally import tally
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.project_store import ProjectStore

NER = (
    '<View><Labels name="ner" toName="t"><Label value="PER"/><Label value="ORG"/></Labels>'
    '<Text name="t" value="$text"/><Audio name="a" value="$audio"/>'
    '<Labels name="sound" toName="a"><Label value="Speech"/></Labels></View>'
)
SOUND = "https://example.org/1.mp3"
DRAWN = CONFIG.replace(
    "</View>",
    '<PolygonLabels name="outline" toName="img"><Label value="Road"/></PolygonLabels>'
    '<BrushLabels name="brush" toName="img"><Label value="Sky"/></BrushLabels></View>',
)
TASKS = 12
CHANGED = {4: -2, 5: 1}
"""Place of an answer in the order → by how many regions it differs from what was shown."""


def span(name, start, score, label="PER"):
    value = {"start": start, "end": start + 4, "text": "word", "labels": [label]}
    return {"id": name, "from_name": "ner", "to_name": "t", "type": "labels", "score": score, "value": value}


def boxes(number):
    """A box, a polygon and a brush, the box least sure."""
    about = {"original_width": 100, "original_height": 100}
    outline = {"points": [[50, 50], [60, 50], [55, 60]], "polygonlabels": ["Road"], "closed": True}
    strokes = {"format": "rle", "rle": [0, 0, 0, 64, 48, 14, 0], "brushlabels": ["Sky"]}
    return [
        box("a", (10, 10, 20, 20), "Car", (number + 1) / 20),
        {"id": "b", "from_name": "outline", "to_name": "img", "type": "polygonlabels", "value": outline, "score": 0.9}
        | about,
        {"id": "c", "from_name": "brush", "to_name": "img", "type": "brushlabels", "value": strokes, "score": 0.5}
        | about,
    ]


def spans(number):
    """Two names in a text, and a word in the sound."""
    heard = {"start": 0.5, "end": 1.5, "channel": 0, "labels": ["Speech"]}
    sound = {"id": "c", "from_name": "sound", "to_name": "a", "type": "labels", "score": 0.5, "value": heard}
    return [span("a", 0, (number + 1) / 20), span("b", 10, 0.9, "ORG"), sound]


def elsewhere(region):
    """A region of the same kind at another place."""
    return region | {"id": "new", "value": region["value"] | {"x": 70, "y": 80, "start": 20, "end": 24}}


KINDS = {
    "boxes": (DRAWN, lambda number: {"image": f"https://example.org/{number}.png"}, boxes),
    "spans": (NER, lambda number: {"text": f"word and words number {number} in a row", "audio": SOUND}, spans),
}


@pytest.fixture(params=KINDS)
def project(label_studio, tmp_path, request):
    """A project, its tasks, and the workspace of its rounds."""
    config, data, results = KINDS[request.param]
    client = label_studio.client
    found = client.create_project(f"predicted {request.param}", config)
    ids = client.import_tasks(found.id, [{"data": data(number)} for number in range(TASKS)])
    defaults = ProjectSettings(strategy="predictions", queue_size=8, control_share=0)
    workspace = Workspace(client, tmp_path, defaults, keep_queues=timedelta(0), media_seconds=0)  # nobody has them
    return client, found.id, ids, results, workspace


def predict(client, project_id, rows):
    body = [{"task": task, "result": result, "score": 0.5, "model_version": name} for task, name, result in rows]
    client.import_predictions(project_id, body)


def test_the_least_sure_are_served_first_and_what_people_correct_is_measured(project):
    client, project_id, ids, results, workspace = project
    first = record_round(workspace, RoundRequest(project_id))
    has_warning(first, "No task has a prediction of another model")
    store = ProjectStore(workspace.root, client.project(project_id).uid)

    def look():
        return look_at(client, project_id, store, workspace.defaults)

    assert look() == last_seen(store)
    # Predictions come, of two versions; those of the last three tasks are missing, or odd.
    predict(client, project_id, [(task, "yolo-1", results(11 - number)) for number, task in enumerate(ids[:9])])
    predict(client, project_id, [(task, "yolo-2", results(number)) for number, task in enumerate(ids[:9])])
    odd = results(0)[:1]
    odd[0] = odd[0] | {"score": "high", "from_name": "gone"}
    client.create_prediction({"task": ids[9], "result": odd, "score": 0.49, "model_version": "yolo-2"})
    for score in (0.2, 7):
        twice = [results(0)[0] | {"score": score}]
        client.create_prediction({"task": ids[10], "result": twice, "model_version": "yolo-2"})
    assert look() != last_seen(store)  # a round is due
    report = record_round(workspace, RoundRequest(project_id, train=False))  # as `lsal sync` asks
    assert look() == last_seen(store)
    has_warning(report, "One model version has several different predictions of one task", str(ids[10]))
    has_warning(report, "A score above 1: once, in one task", str(ids[10]))
    has_warning(report, "A score that is a text: once, in one task", str(ids[9]))
    has_warning(report, "Label Studio refuses the predictions of 1 of the queue", str(ids[9]))
    assert queued(report)[2:] != []
    assert set(queued(report)[:2]) == {ids[10], ids[11]}  # without a doubt that is known, first
    in_order = [task for task in queued(report) if task in ids[:9]]
    assert in_order == ids[: len(in_order)]
    # What Label Studio serves is the order, with the newest regions under our own name.
    queue = report.queue
    assert prove_order(client, project_id, queue, None, count=5).holds
    answered = {}
    for change in (list, list, list, list, lambda shown: shown[:1], lambda shown: [*shown, elsewhere(shown[0])]):
        task = client.next_task(project_id)
        (row,) = [row for row in task["predictions"] if row["model_version"] == queue.name]
        stored = next(item for item in queue.predictions if item.task_id == task["id"])
        assert row["result"] == list(stored.result or ())
        client.annotate(task["id"], change(row["result"]))
        answered[task["id"]] = row["result"]
    assert list(answered)[2:] == [ids[0], ids[9], ids[1], ids[2]]
    assert answered[ids[9]] == answered[ids[11]] == []
    measured = round_of(workspace, project_id).measures["corrections"]["picked"]
    assert {
        name: measured[name] for name in ("tasks", "corrected", "kept", "moved", "removed", "added", "overlap")
    } == {
        "tasks": 4,  # not those that had no prediction, or one that Label Studio refused
        "corrected": 2,
        "kept": 1 + 3 + 1 + 3,
        "moved": 0,
        "removed": 2,
        "added": 1,
        "overlap": 1,
    }
    assert tally(store) is not None
    export = read_export(client, project_id, store, defaults=workspace.defaults)
    values = {
        row["task_id"]: [part for found in row["answers"].values() for part in found or ()] for row in export.rows
    }
    assert {task: len(places) for task, places in values.items()} == {
        task: len(result) + CHANGED.get(place, 0) for place, (task, result) in enumerate(answered.items())
    }
    assert {row["strategy"] for row in export.rows} == {"predictions"}
    assert {row["label"] for row in export.rows} == {None}
    with pytest.raises(LabelConfigError):
        read_export(client, project_id, store)


def test_names_versions_settings_and_what_the_backend_answers(project):
    client, project_id, ids, results, workspace = project
    predict(client, project_id, [(task, "yolo-1", results(number)) for number, task in enumerate(ids)])
    predict(client, project_id, [(task, "yolo-2", results(11 - number)) for number, task in enumerate(ids)])
    with pytest.raises(ConfigurationError, match=r"'yolo-3'; there are those of yolo-1 \(12\), yolo-2 \(12\)"):
        round_of(workspace, project_id, overrides={"predictions_from": "yolo-3"})
    named = round_of(workspace, project_id, overrides={"predictions_from": "yolo-1", "control_share": 0.25})
    picked = [item.task_id for item in named.queue.predictions if item.picked_by != CONTROL]
    assert picked == sorted(picked)
    control = {item.task_id for item in named.queue.predictions if item.picked_by == CONTROL}
    rows = {row["task"]: row for row in client.predictions(project_id) if row["model_version"] == named.queue.name}
    assert {task for task, row in rows.items() if not row["result"]} == control != set()
    # The backend tells the same, and takes the project's config, as long as predictions order it.
    now = client.project(project_id)
    settings = Settings(model_dir=workspace.root, strategy="predictions", label_studio_api_key=None)
    backend = Predictor(settings, now.label_config, now.uid)
    answers = backend.predict([{"id": task, "data": {}} for task in ids])
    assert {task: row["result"] for task, row in zip(ids, answers, strict=True) if task in rows} == {
        task: row["result"] for task, row in rows.items()
    }
    with pytest.raises(LabelConfigError):
        Predictor(Settings(model_dir=workspace.root), now.label_config, now.uid)
    assert Predictor(Settings(model_dir=workspace.root), now.label_config, now.uid, params={"strategy": "predictions"})
    # Old orders are gone, other people's predictions are not.
    mixed = round_of(workspace, project_id, overrides={"strategy": "predictions:0.5,random:0.5"})
    assert client.prediction_versions(project_id) == {"yolo-1": 12, "yolo-2": 12, mixed.queue.name: 8}
