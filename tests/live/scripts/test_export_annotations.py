"""export_annotations against a real Label Studio."""

import csv
import json

import pytest
from support.scripts import tasks_of, write

from ml_backend.cli import annotation_rows, export_annotations, import_tasks
from ml_backend.errors import DataError
from ml_backend.files import AtomicWriter
from ml_backend.label_studio.answers import result_for


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
    assert set(rows[0]) == {*annotation_rows.COLUMNS, "data"}


def test_csv_has_a_column_for_each_data_field(run, annotated, tmp_path):
    project, _ = annotated
    out = tmp_path / "a.csv"
    run(export_annotations, "--project", project.id, "--out", out)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[: len(annotation_rows.COLUMNS)] == list(annotation_rows.COLUMNS)
    assert sorted(list(rows[0])[len(annotation_rows.COLUMNS) :]) == ["data.n", "data.tags", "data.text"]
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
    assert (tmp_path / "a.csv").read_text() == ",".join(annotation_rows.COLUMNS) + "\n"


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
        annotation_rows.write_whole(out, "new", AtomicWriter(sync=full))
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert out.read_text() == "old"


def test_accounts_that_cannot_be_read_are_told_by_their_numbers(annotated):
    project, other = annotated
    rows = list(annotation_rows.annotation_rows(project.client.export(project.id), project.question, {}))
    assert rows[1]["annotator"] == other.id
