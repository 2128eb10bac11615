"""Import files read into new tasks."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.places import REPOSITORY

from ml_backend.errors import DataError
from ml_backend.importing.image_files import idx_bytes, png_data_uri
from ml_backend.importing.reading import TaskFields, content_key, read_tasks
from ml_backend.label_sets import pack

REAL = Path(os.environ.get("ACTIVE_LEARNING_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
needs_real_data = pytest.mark.skipif(not (REAL / "mnist").is_dir(), reason=f"no real data in {REAL}")


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


TEXTS = TaskFields("Text", "text")
PICTURES = TaskFields("Image", "image")


def texts(path: Path, fields: TaskFields = TEXTS, labels_path: Path | None = None, **options):
    """Tasks and problems of a text file."""
    problems: list[str] = []
    tasks = list(read_tasks(path, replace(fields, **options), labels_path=labels_path, problems=problems))
    return tasks, problems


def images(path: Path, **options):
    return texts(path, PICTURES, **options)


def dot(shade: int) -> np.ndarray:
    return np.full((4, 4), shade, dtype=np.uint8)


def test_csv_keeps_other_columns_and_takes_the_label_out(tmp_path):
    path = write(tmp_path / "a.csv", "\ufeffid,headline,kind\n7,dam bursts,related\n8, cup final ,\n")
    tasks, problems = texts(path, label_column="kind")
    assert [task.data for task in tasks] == [{"id": "7", "text": "dam bursts"}, {"id": "8", "text": " cup final "}], (
        "every character as it was: people join an export to their own file by the text"
    )
    assert [task.label for task in tasks] == ["related", None]
    assert not problems


def test_labels_are_taken_only_when_asked_for(tmp_path):
    tasks, _ = texts(write(tmp_path / "a.csv", "text,label\ndam bursts,related\n"))
    assert tasks[0].label is None
    assert tasks[0].data == {"text": "dam bursts", "label": "related"}


def test_key_is_the_content_alone(tmp_path):
    one, _ = texts(write(tmp_path / "a.csv", "id,text\n1,dam bursts\n"))
    two, _ = texts(write(tmp_path / "b.json", '[{"text": " dam bursts ", "more": 1}]'))
    assert one[0].key == two[0].key == content_key("dam bursts") == "508414a8904fcb4c0c3c3ad3b75cd7e2"
    assert content_key("dam burst") != one[0].key


def test_bad_csv_rows_are_told_and_left_out(tmp_path):
    path = write(tmp_path / "a.csv", 'text,n\n"two\nlines",1\n  ,2\n\na,b,c\nlast,3\n')
    tasks, problems = texts(path)
    assert [task.data["text"] for task in tasks] == ["two\nlines", "last"]
    assert problems == [
        f'{path}, line 4: the text in "text" is empty; left out',
        f"{path}, line 6: 3 columns, but the header has 2; left out",
    ]


def test_problems_are_logged_where_nobody_collects_them(tmp_path, caplog):
    tasks = list(read_tasks(write(tmp_path / "a.csv", "n,text\n1,\n2,x\n"), TEXTS))
    assert len(tasks) == 1
    assert "line 2" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", "id,words\n1,x\n", {}, 'line 1: no column "text"; the header row is id, words'),
        ("a.csv", "text\nx\n", {"label_column": "kind"}, 'no column "kind"'),
        ("a.csv", "text\nx\n", {"text_column": "words"}, 'no column "words"'),
        ("a.csv", "text,text\nx,y\n", {}, "two columns of one name"),
        ("a.csv", "", {}, "the header row is empty"),
        ("a.csv", "text\nok\ncaf\u00e9\n".encode("latin-1"), {}, "line 3: byte 0xe9 is not UTF-8"),
        ("a.csv", "text\nok\n".encode("utf-16"), {}, "UTF-16"),
        ("a.json", '[\n{"text": "x"},\n{"text" "y"}]', {}, "line 3, column 9: not valid JSON"),
        ("a.json", '"text"', {}, "a str, but a list"),
        ("a.json", "[" * 100_000, {}, "not valid JSON"),
        ("a.json", '{"text": "x"}\n{"text": "y"}\n', {}, r"name the file \.jsonl"),
        ("a.jsonl", b'{"text": "ok"}\n{"text": "\xe9"}\n', {}, "line 2: byte 0xe9"),
        ("a.xlsx", "PK", {}, "is not a CSV, TSV, JSON"),
        ("a-images-idx3-ubyte", b"", {}, "labeling config shows <Text>"),
    ],
)
def test_errors_of_whole_files(tmp_path, name, content, options, message):
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as caught:
        texts(path, **options)
    assert str(path) in str(caught.value)


def test_missing_path(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        texts(tmp_path / "absent.csv")


def test_json_of_label_studio_tasks(tmp_path):
    def task(*answers, **more):
        annotations = [{"result": [{"value": {"choices": choices}}], **extra} for choices, extra in answers]
        return {"id": 5, "data": {"text": "x", "split": "evaluation"}, "annotations": annotations, **more}

    content = [
        task((["related"], {})),
        task((["related"], {}), (["not related"], {"was_cancelled": True})),
        task((["related", "not related"], {})),
        task(),
        {"data": {"text": "y"}, "annotations": "odd"},
    ]
    tasks, problems = texts(write(tmp_path / "a.json", json.dumps(content)))
    assert [task.label for task in tasks] == ["related", "related", pack(["related", "not related"], ()), None, None]
    assert tasks[0].data == {"text": "x", "split": "evaluation"}
    assert not problems


def test_bad_json_items_are_told_and_left_out(tmp_path):
    content = ["x", {"text": True}, {"text": None}, {"n": 1}, {"text": "x", "l": [["a"]]}, {"text": "good", "l": 3}]
    path = write(tmp_path / "a.json", json.dumps(content))
    tasks, problems = texts(path, label_column="l")
    assert [(task.data, task.label) for task in tasks] == [({"text": "good"}, "3")]
    assert [problem.removeprefix(f"{path}, ") for problem in problems] == [
        "item 1: not a JSON object; left out",
        'item 2: "text" holds a bool, not the text; left out',
        'item 3: the text in "text" is empty; left out',
        'item 4: no "text"; fields: n; left out',
        "item 5: the label is neither a label nor a list of labels; left out",
    ]


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ('["b", "a "]', pack(["b", "a"], ())),
        ("[]", ""),
        ('["a"]', "a"),
        ("[a]", "[a]"),
        ('{"choices": ["a", "b"]}', pack(["a", "b"], ())),
        (" ", None),
    ],
)
def test_lists_in_a_column_of_labels_are_sets_where_no_project_says_more(tmp_path, cell, label):
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "l"), ("x", cell)])
    tasks, problems = texts(path, label_column="l")
    assert [task.label for task in tasks] == [label]
    assert not problems


def test_jsonl_reads_on_after_a_broken_line(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "one"}\r\n{"text": \n\n{"data": {"text": "two\u2028more"}}\n')
    tasks, problems = texts(path)
    assert [task.data["text"] for task in tasks] == ["one", "two\u2028more"]
    assert problems[0].startswith(f"{path}, line 2: not valid JSON")


def test_image_addresses(tmp_path):
    path = write(tmp_path / "a.csv", "image\n https://example.org/a.png \n/data/upload/1/a.png\n../secret.png\n")
    tasks, problems = images(path)
    assert [task.data["image"] for task in tasks] == ["https://example.org/a.png", "/data/upload/1/a.png"]
    assert problems == [
        f'{path}, line 4: "../secret.png" is not an image URL (to import image files, name their folder); left out'
    ]


def test_image_folder_with_labels(tmp_path):
    for name, shade in (("7/a.png", 1), ("7/b.jpg", 2), ("loose.png", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(dot(shade)).save(tmp_path / name)
    write(tmp_path / "7/broken.png", (tmp_path / "loose.png").read_bytes()[:40])
    write(tmp_path / "notes.txt", "hello")
    write(tmp_path / ".hidden", "x")
    tasks, problems = images(tmp_path)
    assert [(task.label, task.data["file"]) for task in tasks] == [("7", "a.png"), ("7", "b.jpg"), (None, "loose.png")]
    assert tasks[1].data["image"].startswith("data:image/jpeg;base64,")
    assert len({task.key for task in tasks}) == 3
    assert [problem.split(": ")[1].split(" (")[0] for problem in problems] == [
        "Not a readable image",
        "not an image file that browsers show",
    ]


def test_folder_without_images(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        images(tmp_path)


def test_folder_in_a_text_project(tmp_path):
    with pytest.raises(DataError, match="labeling config shows <Text>"):
        texts(tmp_path)


@pytest.mark.parametrize("as_folder", [True, False])
def test_idx_pair(tmp_path, as_folder):
    path = write(tmp_path / "t10k-images-idx3-ubyte.gz", idx_bytes(np.stack([dot(1), dot(2)])))
    write(tmp_path / "t10k-labels-idx1-ubyte.gz", idx_bytes(np.array([4, 0], np.uint8)))
    tasks, _ = images(tmp_path if as_folder else path)
    assert [task.label for task in tasks] == ["4", "0"]
    assert tasks[1].data == {"image": png_data_uri(dot(2)), "file": "t10k-images-idx3-ubyte.gz#2"}


def test_idx_without_and_with_other_labels(tmp_path):
    path = write(tmp_path / "x-images-idx3", idx_bytes(np.stack([dot(1)])))
    assert images(path)[0][0].label is None
    other = write(tmp_path / "other", idx_bytes(np.array([1, 2], np.uint8)))
    with pytest.raises(DataError, match="2 labels for the 1 images"):
        images(path, labels_path=other)
    with pytest.raises(DataError, match="name the file of the images"):
        images(write(tmp_path / "x-labels-idx1", other.read_bytes()))
    write(tmp_path / "y-images-idx3", path.read_bytes())
    with pytest.raises(DataError, match="name one of these files"):
        images(tmp_path)


@needs_real_data
def test_real_files():
    tasks, problems = texts(REAL / "headlines" / "abc_2003_20k.csv")
    assert (len(tasks), problems) == (19_999, [])
    digits = read_tasks(REAL / "mnist", PICTURES)
    first = next(digits)
    assert first.label == "7"
    assert len(first.data["image"]) < 600
