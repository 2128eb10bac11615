"""export_annotations against a real Label Studio."""

import csv
import json

import pytest
from support.scripts import tasks_of, write

from ml_backend.cli import export_annotations, import_tasks
from ml_backend.config import ProjectSettings
from ml_backend.errors import DataError
from ml_backend.exporting.export import write_whole
from ml_backend.exporting.provenance import MARK
from ml_backend.exporting.rows import COLUMNS, annotation_rows
from ml_backend.files import AtomicWriter
from ml_backend.importing.new_tasks import KEY_FIELD
from ml_backend.label_studio.answers import result_for
from ml_backend.records import CONTROL
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import open_project

WORDS = ("flood in the river", "football match tonight")
LABELS = ("related", "not related")
ASKING = ProjectSettings(
    strategy="entropy", text_model="headlines", queue_size=10, control_share=0.4, hyperparameters={"steps": 20}
)


@pytest.fixture(scope="module")
def annotated(label_studio, make_project):
    """Two annotators, a cold-start queue, a model's queue, foreign predictions, a skipped task, an open one."""
    data = [
        {"text": 'one, "two"\nthree', "n": 1},
        {"text": "ü"},
        {"text": "c", "tags": ["x"]},
        {"text": "d"},
        {"text": "e"},
    ]
    project = make_project(tasks=data)
    client, ids = project.client, project.task_ids
    client.request("PATCH", f"api/projects/{project.id}", body={"maximum_annotations": 2})
    names = ["start.random-0001", "headlines-0001-1a2b3c4d.dropout_entropy-0007", "imported by hand"]
    for name, task in zip(names, ids, strict=False):
        result = result_for("related", 0.7, project.question)
        client.import_predictions(project.id, [{"task": task, "result": result, "score": 0.1, "model_version": name}])
        client.serve_version(project.id, name)
        client.annotate(task, project.answer("not related"))
    client.annotate(ids[3], [], cancelled=True)
    other = label_studio.create_user()
    body = {"result": project.answer("related"), "lead_time": 2.5}
    other.client.request("POST", f"api/tasks/{ids[0]}/annotations/", body=body)
    return project, other


def test_json_rows_tell_who_when_what_and_why(run, annotated, label_studio, tmp_path):
    project, other = annotated
    out = tmp_path / "a.json"
    assert "Exported 5 annotations" in run(export_annotations, "--project", project.id, "--out", out).stdout
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert [row["task_id"] for row in rows] == [project.task_ids[index] for index in (0, 0, 1, 2, 3)]
    assert [row["annotator"] for row in rows] == [
        label_studio.email,
        other.email,
        label_studio.email,
        label_studio.email,
        label_studio.email,
    ]
    assert [row["label"] for row in rows] == ["not related", "related", "not related", "not related", None]
    assert [row["consensus_label"] for row in rows] == [None, None, "not related", "not related", None]
    assert [row["skipped"] for row in rows] == [False, False, False, False, True]
    assert [row["lead_time"] for row in rows] == [None, 2.5, None, None, None]
    assert [row["strategy"] for row in rows] == ["random", None, "dropout_entropy", None, None]
    assert [row["model_version"] for row in rows] == [None, None, "headlines-0001-1a2b3c4d", "imported by hand", None]
    assert [row["predicted_label"] for row in rows] == ["related", None, "related", "related", None]
    assert rows[0]["data"] == {"text": 'one, "two"\nthree', "n": 1}
    assert rows[0]["queue"] == "start.random-0001"
    assert set(rows[0]) == {*COLUMNS, "data"}


def test_csv_has_a_column_for_each_data_field(run, annotated, tmp_path):
    project, _ = annotated
    out = tmp_path / "a.csv"
    run(export_annotations, "--project", project.id, "--out", out)
    rows = rows_in(out)
    assert list(rows[0])[: len(COLUMNS)] == list(COLUMNS)
    assert sorted(list(rows[0])[len(COLUMNS) :]) == ["data.n", "data.tags", "data.text"]
    assert [row["data.text"] for row in rows] == ['one, "two"\nthree', 'one, "two"\nthree', "ü", "c", "d"]
    assert [row["data.tags"] for row in rows] == ["", "", "", '["x"]', ""]
    assert [row["skipped"] for row in rows] == ["false"] * 4 + ["true"]


def test_embedded_images_are_shortened_in_csv_unless_full(run, make_project, tmp_path):
    project = make_project("mnist", tasks=1)
    project.client.annotate(project.task_ids[0], project.answer("7"))
    out = tmp_path / "a.csv"
    uri = tasks_of(project)[0]["data"]["image"]
    run(export_annotations, "--project", project.id, "--out", out)
    assert uri not in out.read_text()
    assert f"... ({len(uri):,} characters)" in out.read_text()
    run(export_annotations, "--project", project.id, "--out", out, "--full")
    assert uri in out.read_text()


def test_what_was_exported_can_be_imported(run, annotated, make_project, tmp_path):
    project, _ = annotated
    out = tmp_path / "a.csv"
    run(export_annotations, "--project", project.id, "--out", out)
    copy = make_project()
    arguments = ("--text-column", "data.text", "--label-column", "consensus_label")
    run(import_tasks, out, "--project", copy.id, *arguments)
    assert [row["data"]["text"] for row in tasks_of(copy)] == ['one, "two"\nthree', "ü", "c", "d"]


def test_an_export_without_annotations_is_an_empty_file(run, make_project, tmp_path):
    project = make_project(tasks=1)
    run(export_annotations, "--project", project.id, "--out", tmp_path / "a.json")
    run(export_annotations, "--project", project.id, "--out", tmp_path / "a.csv")
    assert json.loads((tmp_path / "a.json").read_text()) == []
    assert (tmp_path / "a.csv").read_text() == ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("name", ["a.txt", "missing/a.json"])
def test_a_file_that_cannot_be_written_is_told(run, make_project, tmp_path, name):
    project = make_project(tasks=1)
    assert name in run(export_annotations, "--project", project.id, "--out", tmp_path / name, code=1).stderr
    assert list(tmp_path.iterdir()) == []


def test_an_older_export_survives_a_failed_one(tmp_path):
    out = write(tmp_path / "a.json", "old")

    def full(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"a\.json cannot be written: No space left on device"):
        write_whole(out, "new", AtomicWriter(sync=full))
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert out.read_text() == "old"


def test_accounts_that_cannot_be_read_are_told_by_their_numbers(annotated):
    project, other = annotated
    rows = list(annotation_rows(project.client.export(project.id), project.question, {}))
    assert rows[1]["annotator"] == other.id


@pytest.fixture
def asked(make_project, label_studio, tmp_path):
    """Two people who answered what two queues asked: sampled and control tasks, a skip, a tie, and a held-out task."""
    project = make_project("headlines")
    rows = [{"data": {"text": f" {WORDS[number % 2]},\tstory {number} \n", "n": number}} for number in range(24)]
    for number, row in enumerate(rows[:8]):
        row["annotations"] = [{"result": project.answer(LABELS[number % 2]), "ground_truth": False}]
        row["meta"] = {"source": "wire"}
    rows[8]["data"]["split"] = "evaluation"
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    foreign = {
        "task": project.task_ids[9],
        "result": project.answer("related"),
        "score": 0.5,
        "model_version": "theirs",
    }
    project.client.import_predictions(project.id, [foreign])
    workspace = Workspace(project.client, tmp_path / "versions", ASKING)
    other = label_studio.create_user()
    for person in (project.client, other.client):
        run_round(workspace, RoundRequest(project.id))
        for number in range(4):
            task = person.next_task(project.id)
            person.annotate(task["id"], project.answer(LABELS[number % 2]), cancelled=number == 3)
    other.client.annotate(task["id"], project.answer("related"))
    other.client.annotate(project.task_ids[8], project.answer("related"))
    first = open_project(workspace.root, project.id).queue
    return project, first


def test_rows_tell_what_each_annotation_was_asked_under(run, asked, tmp_path):
    project, stored = asked
    run(export_annotations, "--project", project.id, "--out", tmp_path / "a.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").split("\n") if line]
    queued = [row for row in rows if row["queue"]]
    assert len(queued) == 9
    for row in queued:
        picked = {item.task_id: (place, item) for place, item in enumerate(stored(row["queue"]).predictions, 1)}
        place, item = picked[row["task_id"]]
        assert row["place"] == place
        assert row["share"] == ("control" if item.picked_by == CONTROL else "sampled")
        assert row["split"] == ("control" if item.picked_by == CONTROL else "train")
        assert row["strategy"] == ("random" if item.picked_by == CONTROL else "entropy")
        assert (row["guess"], row["probability"]) == (item.label, pytest.approx(item.confidence, abs=1e-6))
        assert row["guess_shown"] == (item.picked_by != CONTROL)
    assert {row["share"] for row in queued} == {"control", "sampled"}
    assert len({row["queue"] for row in queued}) == 2
    assert [row["share"] for row in rows if row["task_id"] in project.task_ids[:8]] == [None] * 8
    assert [row["share"] for row in rows if row["task_id"] == project.task_ids[8]] == ["evaluation"]
    assert rows[0]["data"]["text"] == f" {WORDS[0]},\tstory 0 \n"


@pytest.mark.parametrize("way", ["Label Studio", "lsal import"])
def test_a_whole_export_comes_back_the_same_after_an_import(run, asked, make_project, tmp_path, way):
    project, _ = asked
    copy = make_project("headlines")
    run(export_annotations, "--project", project.id, "--out", tmp_path / "a.json", "--format", "label-studio")
    tasks = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    if way == "Label Studio":
        copy.client.import_tasks(copy.id, tasks)
    else:
        run(import_tasks, tmp_path / "a.json", "--project", copy.id)
    run(export_annotations, "--project", copy.id, "--out", tmp_path / "b.json", "--format", "label-studio")
    again = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert len(tasks) == len(again) == 24
    assert [same(task) for task in again] == [same(task) for task in tasks]
    assert again[0]["meta"]["source"] == "wire"
    assert [p["model_version"] for task in again for p in task["predictions"]] == ["theirs"]
    for name, number in (("a.csv", project.id), ("b.csv", copy.id)):
        run(export_annotations, "--project", number, "--out", tmp_path / name)
    first, second = (rows_in(tmp_path / name) for name in ("a.csv", "b.csv"))
    own = ("task_id", "annotation_id", f"data.{KEY_FIELD}")
    plain = lambda rows: [{name: value for name, value in row.items() if name not in own} for row in rows]  # noqa: E731
    assert plain(second) == plain(first)


def rows_in(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def same(task):
    """What two exports of the same content share: all but ids, and what Label Studio says of its own import."""
    given = [
        {name: annotation[name] for name in ("result", "was_cancelled", "ground_truth", "lead_time")}
        | {"who": annotation["completed_by"]}
        for annotation in task["annotations"]
    ]
    marks = list(task["meta"].get(MARK, {}).values())
    meta = {name: value for name, value in task["meta"].items() if name != MARK}
    data = {name: value for name, value in task["data"].items() if name != KEY_FIELD}
    return data, meta, marks, given, task["predictions"]


def test_a_dataset_folder_is_new_and_has_its_splits(run, asked, tmp_path):
    project, _ = asked
    out = tmp_path / "dataset"
    run(export_annotations, "--project", project.id, "--out", out)
    assert {path.name for path in (out / "data").iterdir()} == {"train", "control", "evaluation"}
    assert "Name a new folder" in run(export_annotations, "--project", project.id, "--out", out, code=1).stderr


def test_images_of_a_dataset_stand_beside_the_rows(run, make_project, tmp_path):
    project = make_project("mnist", tasks=2)
    project.client.annotate(project.task_ids[0], project.answer("7"))
    run(export_annotations, "--project", project.id, "--out", tmp_path / "images")
    (picture,) = (tmp_path / "images" / "data" / "train").glob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    run(export_annotations, "--project", project.id, "--out", tmp_path / "urls", "--images", "url")
    assert "data:image/png" in (tmp_path / "urls" / "data" / "train" / "rows.jsonl").read_text()
