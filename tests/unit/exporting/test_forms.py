"""The forms of an export: rows, tables, Label Studio's own, and a folder for datasets."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
import yaml
from PIL import Image
from support.exports import QUESTION, annotation, store_with_queues, task

from ml_backend.errors import DataError
from ml_backend.exporting.answers import Controls
from ml_backend.exporting.datasets_folder import classes_of, suffix_of, write_dataset
from ml_backend.exporting.export import form_of
from ml_backend.exporting.label_studio_json import label_studio_tasks
from ml_backend.exporting.provenance import MARK
from ml_backend.exporting.rows import COLUMNS, annotation_rows
from ml_backend.exporting.tables import csv_text, json_lines, json_text

EMAILS = {1: "ann@example.org", 2: "bob@example.org"}
NASTY = ' leading, "quoted"\r\nline\ttab\u2028separator and trailing \n'
CLASSES = classes_of(QUESTION, Controls())
TAGS = replace(QUESTION, control="tags", labels=("x", "y"), multiple=True)
SEVERAL = Controls.of(("choice", "tags", "box", "why"), (QUESTION, TAGS))


@pytest.fixture
def tasks():
    """Sampled, control, skipped and tied ones, and one that is held out."""
    return [
        task(1, annotation(10, "a"), text=NASTY),
        task(2, annotation(11, "b", guess=None)),
        task(4, annotation(12, None)),
        task(5, annotation(13, "a"), annotation(14, "b", completed_by=2)),
        task(7, annotation(15, "b", queue=None), split="evaluation"),
        task(8),
    ]


@pytest.fixture
def rows(tasks, tmp_path):
    return list(annotation_rows(tasks, QUESTION, EMAILS, store_with_queues(tmp_path)))


def test_rows_tell_splits_ties_and_skips(rows):
    found = [(row["task_id"], row["split"], row["label"], row["consensus_label"], row["tied"]) for row in rows]
    assert found == [
        (1, "train", "a", "a", False),
        (2, "control", "b", "b", False),
        (4, "train", None, None, False),
        (5, "train", "a", None, True),
        (5, "train", "b", None, True),
        (7, "evaluation", "b", "b", False),
    ]
    assert [row["skipped"] for row in rows] == [False, False, True, False, False, False]
    assert {row["control"] for row in rows} == {"choice"}
    assert rows[4]["annotator"] == "bob@example.org"
    assert (rows[0]["predicted_label"], rows[1]["predicted_label"], rows[1]["guess"]) == ("a", None, "a")


def test_tables_keep_every_character(rows):
    (row, *_) = csv.DictReader(io.StringIO(csv_text(rows), newline=""))
    assert row["data.text"] == NASTY
    assert json.loads(json_text(rows))[0]["data"]["text"] == NASTY
    lines = json_lines(rows).split("\n")
    assert json.loads(lines[0])["data"]["text"] == NASTY
    assert len(lines) == len(rows) + 1
    assert list(row) == [*COLUMNS, "data.text", "data.split"]


def test_label_studios_form_has_all_tasks_and_other_peoples_predictions(tasks, rows):
    predictions = [
        {"id": 2, "task": 8, "model_version": "theirs", "score": 0.4, "result": [], "created_at": "x"},
        {"id": 1, "task": 1, "model_version": "start.random-0001", "score": 0.1, "result": []},
    ]
    found = label_studio_tasks(tasks, rows, predictions, EMAILS)
    assert [row["id"] for row in found] == [1, 2, 4, 5, 7, 8]
    assert found[5]["predictions"] == [{"model_version": "theirs", "score": 0.4, "result": []}]
    assert found[0]["predictions"] == []
    assert found[0]["annotations"][0]["completed_by"] == {"id": 1, "email": "ann@example.org"}
    assert found[1]["meta"][MARK]["11"]["share"] == "control"
    assert found[5]["meta"] == {}


def test_a_list_in_the_place_of_meta_is_kept_as_it_is(tasks, rows):
    tasks[0]["meta"] = ["theirs"]
    assert label_studio_tasks(tasks, rows, [], EMAILS)[0]["meta"] == ["theirs"]
    assert next(annotation_rows(tasks[:1], QUESTION, EMAILS))["label"] == "a"


def test_after_an_import_the_rows_are_the_same(tasks, rows):
    """As Label Studio imports: new ids and times, no snapshots, the old ids beside."""
    exported = json.loads(json_text(label_studio_tasks(tasks, rows, [], EMAILS)))
    for row in exported:
        row["id"] += 100
        for given in row["annotations"]:
            given |= {"import_id": given["id"], "id": given["id"] + 1000, "prediction": None}
            given |= {"created_at": "2026-05-01T00:00:00Z", "updated_at": "2026-05-01T00:00:00.2Z"}
            given["completed_by"] = given["completed_by"]["id"] + 20
    again = list(annotation_rows(exported, QUESTION, {21: "ann@elsewhere.org"}))
    plain = lambda row: {name: value for name, value in row.items() if name not in ("task_id", "annotation_id")}  # noqa: E731
    assert [plain(row) for row in again] == [plain(row) for row in rows]


def test_a_dataset_has_a_file_for_each_split_and_a_card_that_tells_the_types(rows, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    write_dataset(folder, rows, CLASSES, title='"My"\n project: #1')
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"README.md", *(f"data/{split}/rows.jsonl" for split in ("train", "control", "evaluation"))}
    _, head, told = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(head)
    assert [each["split"] for each in card["configs"][0]["data_files"]] == ["train", "control", "evaluation"]
    features = {each["name"]: each["dtype"] for each in card["dataset_info"]["features"]}
    assert features["label"] == {"class_label": {"names": {"0": "a", "1": "b"}}}
    assert (features["place"], features["skipped"], features["data.split"]) == ("int64", "bool", "string")
    line = json.loads((folder / "data/train/rows.jsonl").read_text(encoding="utf-8").split("\n")[0])
    assert list(line) == list(features)
    assert line["text"] == NASTY
    assert "\n# " in told
    assert "4 in `train`, 1 in `control`, 1 in `evaluation`" in told


def image(kind, width=4):
    stream = io.BytesIO()
    Image.new("RGB", (width, 4)).save(stream, format=kind)
    return stream.getvalue()


def test_images_stand_beside_their_rows(rows, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    write_dataset(folder, rows, CLASSES, title="x", field="text", read_image=lambda row: image("PNG", row["task_id"]))
    lines = (folder / "data/train/metadata.jsonl").read_text(encoding="utf-8").splitlines()
    names = [json.loads(line)["file_name"] for line in lines]
    assert names == ["1-10.png", "4-12.png", "5-13.png", "5-14.png"]
    assert all((folder / "data/train" / name).read_bytes().startswith(b"\x89PNG") for name in names)
    card = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert [each["config_name"] for each in card["configs"]] == ["train", "control", "evaluation"]


def region(control, kind, value, **place):
    return {"from_name": control, "to_name": "item", "type": kind, "value": {kind: value, **place}}


@pytest.fixture
def answered():
    """Of a page with four controls: everything answered, and nothing but boxes."""
    boxes = [region("box", "rectanglelabels", ["car"], x=1.0, y=2.0), region("box", "rectanglelabels", ["bus"], x=3.0)]
    said = [region("choice", "choices", ["b"]), region("tags", "choices", ["y", "x"]), region("why", "text", ["so"])]
    return [task(1, annotation(10, result=[*boxes, *said])), task(2, annotation(11, result=boxes[:1]))]


def test_each_question_has_its_answer_in_a_column_of_its_own(answered, tmp_path):
    rows = list(annotation_rows(answered, QUESTION, EMAILS, None, SEVERAL))
    first, second = (row["answers"] for row in rows)
    assert first == {
        "choice": "b",
        "tags": ["x", "y"],
        "box": [{"rectanglelabels": ["car"], "x": 1.0, "y": 2.0}, {"rectanglelabels": ["bus"], "x": 3.0}],
        "why": "so",
    }
    box = [{"rectanglelabels": ["car"], "x": 1.0, "y": 2.0}]
    assert second == {"choice": None, "tags": [], "box": box, "why": None}
    assert [row["label"] for row in rows] == ["b", None]
    (line, *_) = csv.DictReader(io.StringIO(csv_text(rows), newline=""))
    told = ["answer.choice", "answer.tags", "answer.box", "answer.why"]
    assert list(line) == [*COLUMNS, *told, "data.text"]
    assert [line[name] for name in told] == ["b", '["x", "y"]', json.dumps(first["box"]), "so"]
    folder = tmp_path / "out"
    folder.mkdir()
    write_dataset(folder, rows, classes_of(QUESTION, SEVERAL), title="x")
    card = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    features = {each["name"]: each for each in card["dataset_info"]["features"]}
    assert features["answer.tags"]["sequence"] == {"class_label": {"names": {"0": "x", "1": "y"}}}
    assert features["answer.choice"]["dtype"] == {"class_label": {"names": {"0": "a", "1": "b"}}}
    assert features["answer.box"]["dtype"] == "string"
    stored = json.loads((folder / "data/train/rows.jsonl").read_text(encoding="utf-8").split("\n")[0])
    assert (stored["answer.tags"], stored["answer.why"]) == (["x", "y"], "so")
    assert json.loads(stored["answer.box"]) == first["box"]


def test_nothing_chosen_is_left_open_before_anybody_chose_as_in_rounds():
    other = [region("choice", "choices", ["a"])]
    tagged = [*other, region("tags", "choices", ["y"])]
    given = [("08:00:00", other), ("09:00:00", tagged), ("10:00:00", other)]
    tasks = [task(n, annotation(n, at=at, result=result)) for n, (at, result) in enumerate(given, 1)]
    rows = list(annotation_rows(tasks, TAGS, EMAILS, None, SEVERAL))
    assert [row["label"] for row in rows] == [None, ["y"], []]
    assert [row["consensus_label"] for row in rows] == [None, ["y"], []]
    assert [row["answers"]["tags"] for row in rows] == [None, ["y"], []]
    assert [row["answers"]["choice"] for row in rows] == ["a"] * 3
    first = next(annotation_rows(tasks[:1], QUESTION, EMAILS, None, SEVERAL))
    assert (first["label"], first["answers"]["tags"]) == ("a", None), "nobody ever chose"


def test_where_nothing_is_learnt_the_answers_are_there_without_labels(answered, tmp_path):
    seen = {
        "model_version": "start.predictions-0001",
        "created_at": "2026-01-01T08:00:00Z",
        "result": [region("box", "rectanglelabels", ["car"])],
    }
    answered[0]["annotations"][0]["prediction"] = seen
    controls = Controls.of(("box", "why"), ())
    rows = list(annotation_rows(answered, None, EMAILS, None, controls))
    assert [(row["control"], row["label"], row["tied"], row["problem"]) for row in rows] == [
        (None, None, False, None)
    ] * 2
    assert [row["answers"]["why"] for row in rows] == ["so", None]
    assert rows[0]["guess_shown"]
    assert (rows[0]["guess"], rows[0]["strategy"]) == (None, "predictions")
    assert len(list(csv.DictReader(io.StringIO(csv_text(rows), newline="")))) == 2
    folder = tmp_path / "out"
    folder.mkdir()
    write_dataset(folder, rows, classes_of(None, controls), title="x")
    assert "class_label" not in (folder / "README.md").read_text(encoding="utf-8")


def test_a_single_question_has_no_column_beside_its_label(tasks):
    assert Controls.of(("choice",), (QUESTION,)).names == ()
    assert "answers" not in next(annotation_rows(tasks, QUESTION, EMAILS, None, Controls.of(("choice",), (QUESTION,))))


def test_nothing_to_export_is_told(tmp_path):
    with pytest.raises(DataError, match="no annotations to export yet"):
        write_dataset(tmp_path, [], CLASSES, title="x")


@pytest.mark.parametrize(
    ("name", "asked", "form"),
    [("a.CSV", None, "csv"), ("a.json", None, "json"), ("a", None, "datasets"), ("a.txt", "jsonl", "jsonl")],
)
def test_the_form_is_asked_for_or_told_by_the_name(tmp_path, name, asked, form):
    assert form_of(tmp_path / name, asked) == form


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.txt: the name must end in \.csv, \.json, \.jsonl"):
        form_of(tmp_path / "a.txt", None)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("PNG", ".png"), ("JPEG", ".jpg"), ("GIF", ".gif"), ("WEBP", ".webp"), ("BMP", ".bmp"), ("TIFF", ".tif")],
)
def test_images_have_the_ending_of_their_kind(kind, ending):
    assert suffix_of(image(kind)) == ending


@pytest.mark.parametrize("content", [b"", b"RIFF____WAVEfmt ", b"BM, a text"])
def test_what_is_no_image_has_none_of_their_endings(content):
    assert suffix_of(content) == ".img"
