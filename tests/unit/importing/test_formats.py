"""What Label Studio's own import takes, and its exports and ours: rows in are rows read and rows named."""

import json

import pytest
from support.places import REPOSITORY

from ml_backend.importing.items import Remarks
from ml_backend.importing.reading import TaskFields, read_tasks
from ml_backend.importing.rows import separator_of
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.records import Wanted

CASES = REPOSITORY / "tests" / "data" / "cases"
QUESTION = ChoiceQuestion("c", "t", "Text", "text", ("Yes", "No"))
PICTURES = ChoiceQuestion("c", "i", "Image", "image", ("A", "B"))


def read(path, question=QUESTION, **options):
    problems, remarks = [], Remarks()
    fields = TaskFields(question.object_tag, question.field, question=question, **options)
    found = read_tasks(path, fields, problems=problems, remarks=remarks)
    return list(found), [problem.removeprefix(f"{path}, ") for problem in problems], remarks


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8", newline="")
    return path


def chosen(label, control="c"):
    return [{"from_name": control, "to_name": "t", "type": "choices", "value": {"choices": [label]}}]


# --- files of the public reports -------------------------------------------------------------------------------------


def test_semicolons():
    tasks, problems, _ = read(CASES / "semi.csv", label_column="label")
    assert [(task.data["text"], task.label) for task in tasks] == [("nice, sunny day", "Yes"), ("bad day", "No")]
    assert problems == []


def test_labels_match_the_config_exactly():
    spaced = ChoiceQuestion("c", "t", "Text", "text", (" A ", "B\nx"))
    tasks, problems, _ = read(CASES / "ws_label.csv", spaced, label_column="label")
    assert [task.label for task in tasks] == [" A ", " A ", "B\nx"]
    trimmed = ChoiceQuestion("c", "t", "Text", "text", ("A", "B\nx"))
    assert [task.label for task in read(CASES / "ws_label.csv", trimmed, label_column="label")[0]] == ["A", "A", "B\nx"]
    assert problems == []


@pytest.mark.parametrize(
    ("shown", "field", "value", "wanted"),
    [
        ('<Image name="o" valueList="$o"/>', "o", ["https://example.org/1.png", "https://example.org/2.png"], Wanted()),
        ('<TimeSeries name="o" value="$o"/>', "o", {"time": [1, 2], "up": [3, 4]}, Wanted(embedding_field="numbers")),
    ],
)
def test_lists_of_pictures_and_what_numbers_stand_for_stay_as_they_are(tmp_path, shown, field, value, wanted):
    choices = '<Choices name="c" toName="o"><Choice value="A"/><Choice value="B"/></Choices>'
    question = parse_label_config(f"<View>{shown}{choices}</View>", wanted=wanted)
    data = {field: value, "numbers": [1, 2]}
    tasks, problems, _ = read(
        write(tmp_path / "tasks.json", [{"data": data}, {"data": data | {field: None}}]), question
    )
    assert [task.data for task in tasks] == [data]
    assert [problem.split(":")[0] for problem in problems] == ["item 2"]


def test_urls_of_storages_and_schemes_in_any_case():
    tasks, problems, _ = read(CASES / "s3.csv", PICTURES, label_column="label")
    assert (len(tasks), problems) == (6, [])


AB = ChoiceQuestion("c", "t", "Text", "text", ("A", "B"))


def test_annotations_under_their_name_before_1_0():
    (task,), _, _ = read(CASES / "completions.json", AB)
    assert (task.label, len(task.annotations)) == ("A", 1)


def test_labels_beside_the_data_are_found_where_named_and_else_said():
    tasks, _, remarks = read(CASES / "label_beside.json", AB)
    assert [task.label for task in tasks] == [None, None]
    assert {name: count for name, count in remarks.lost.items() if count} == {
        '"label" beside the "data" of tasks': 2,
        '"source" beside the "data" of tasks': 1,
    }
    tasks, _, remarks = read(CASES / "label_beside.json", AB, label_column="label")
    assert [task.label for task in tasks] == ["A", "B"]
    assert '"label" beside the "data" of tasks' not in remarks.lost


def test_a_column_without_a_name_has_the_one_that_label_studio_reads():
    tasks, problems, _ = read(CASES / "pandas_index.csv", AB, label_column="label")
    assert [(task.data, task.label) for task in tasks] == [
        ({"Unnamed: 0": "0", "text": "the river rose"}, "A"),
        ({"Unnamed: 0": "1", "text": "the goal"}, "B"),
    ]
    assert problems == []


def test_a_spreadsheets_line_that_names_the_separator(tmp_path):
    tasks, _, _ = read(CASES / "sep_line.csv", AB, label_column="label")
    assert [(task.data["text"], task.label) for task in tasks] == [("the river rose", "A"), ("one, two", "B")]
    assert tasks[0].where.endswith("line 3")
    blank = write(tmp_path / "blank.csv", "\n\ntext;label\na;A\n")
    assert [task.where.rpartition(", ")[2] for task in read(blank, AB, label_column="label")[0]] == ["line 4"]


def test_a_number_that_json_does_not_know_leaves_out_its_row():
    tasks, problems, _ = read(CASES / "nan.json")
    assert tasks == []
    assert "item 1: it has a number that JSON does not allow" in problems[0]


def test_half_a_character_leaves_out_its_row_and_no_other():
    tasks, problems, _ = read(CASES / "lone_surrogate.json")
    assert [task.data["text"] for task in tasks] == ["fine"]
    assert problems == [
        "item 1: it has a text with half a character (a lone surrogate), on which Label Studio fails; left out"
    ]


def test_all_annotators_are_kept_apart():
    tasks, problems, _ = read(CASES / "three_annotators.json")
    assert [[given["completed_by"] for given in task.annotations] for task in tasks] == [
        [1, 2, 3],
        [1, 2, 3, 4],
        [1, 2],
    ]
    assert problems == []


def test_only_the_question_gives_labels_and_the_rest_is_kept():
    tasks, problems, remarks = read(CASES / "two_ctrl.json")
    assert [task.label for task in tasks] == ["No", "No", None]
    assert [len(given["result"]) for task in tasks for given in task.annotations] == [2, 2, 1]
    assert problems == []
    (line,) = remarks.lines
    assert 'item 3, annotation 1: it does not answer "c"' in line


def test_predictions_and_meta_are_kept():
    ((task,), problems, _) = read(CASES / "preds.json")
    assert task.meta == {"src": "x"}
    assert task.predictions == ({"model_version": "v0", "score": 0.9, "result": chosen("Yes")},)
    assert task.label is None
    assert problems == []


def test_answers_that_cannot_be_read_are_imported_and_named():
    tasks, problems, remarks = read(CASES / "malformed_results.json")
    assert [(task.data["text"], task.label, len(task.annotations)) for task in tasks] == [
        (text, None, 1) for text in "abcde"
    ]
    assert problems == []
    assert len(remarks.lines) == 5
    assert all("does not count" in line for line in remarks.lines)


def test_answers_whose_meaning_is_plain_are_labels():
    tasks, _, remarks = read(CASES / "uncounted_answers.json")
    assert [task.label for task in tasks] == ["Yes", None, "Yes"]
    assert 'item 2, annotation 1: label "1" is not in the labeling config' in remarks.lines[0]


# --- their siblings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,n\none,1\ntwo,2\n"),
        ("a.CSV", "text;n\none;1\ntwo;2\n"),
        ("a.csv", "text\tn\none\t1\ntwo\t2\n"),
        ("a.tsv", "text\tn\r\none\t1\r\ntwo\t2\r\n"),
        ("a.txt", "one\n\ntwo"),
        ("a.json", '[{"text": "one"}, {"data": {"text": "two"}}]'),
        ("a.jsonl", '{"text": "one"}\n{"data": {"text": "two"}}\n'),
    ],
)
def test_kinds_of_file(tmp_path, name, content):
    tasks, problems, _ = read(write(tmp_path / name, content))
    assert [task.data["text"] for task in tasks] == ["one", "two"]
    assert problems == []


def test_a_single_object_is_one_task(tmp_path):
    ((task,), problems, _) = read(write(tmp_path / "a.json", {"data": {"text": "one"}, "meta": {"n": 1}}))
    assert (task.data, task.meta, problems) == ({"text": "one"}, {"n": 1}, [])


def test_lines_of_a_text_file_may_be_urls(tmp_path):
    tasks, problems, _ = read(write(tmp_path / "a.txt", "S3://b/1.png\nno url\nhttps://x/y\n"), PICTURES)
    assert [task.data["image"] for task in tasks] == ["S3://b/1.png", "https://x/y"]
    assert problems[0].startswith('line 2: "no url" is not an image URL')


def test_a_cell_of_any_length(tmp_path):
    picture = "data:image/png;base64," + "A" * 400_000
    tasks, problems, _ = read(write(tmp_path / "a.csv", f'image,label\n"{picture}",A\n'), PICTURES)
    assert (tasks[0].data["image"], problems) == (picture, [])


def test_stray_quotes_leave_out_one_line_at_most(tmp_path):
    lines = ['5" pipe,1', '"half" quoted,2', '"never closed,3', "fine,4", '"a\nb",5', '"x"y"z",6', '"end,7']
    tasks, problems, _ = read(write(tmp_path / "a.csv", "text,n\n" + "\n".join(lines) + "\n"))
    assert [(task.data["text"], task.data["n"]) for task in tasks] == [
        ('5" pipe', "1"),
        ("half quoted", "2"),
        ("fine", "4"),
        ("a\nb", "5"),
        ('xy"z"', "6"),
    ]
    assert problems == [
        "line 4: a quote is opened and never closed; left out",
        "line 9: a quote is opened and never closed; left out",
    ]


def test_a_nested_field_is_made_for_a_table(tmp_path):
    nested = ChoiceQuestion("c", "t", "Text", "meta.text", ("Yes", "No"))
    tasks, _, _ = read(write(tmp_path / "a.csv", "meta.text,n\none,1\n"), nested)
    assert tasks[0].data == {"n": "1", "meta": {"text": "one"}}
    tasks, _, _ = read(write(tmp_path / "a.json", [{"data": {"meta": {"text": " two ", "x": 1}}}]), nested)
    assert tasks[0].data == {"meta": {"text": " two ", "x": 1}}


def test_a_text_by_url_must_be_a_url(tmp_path):
    by_url = ChoiceQuestion("c", "t", "Text", "text", ("Yes", "No"), by_url=True)
    tasks, problems, _ = read(write(tmp_path / "a.csv", "text\nhttps://x/a.txt\nonly words\n"), by_url)
    assert len(tasks) == 1
    assert 'line 3: "only words" is not a URL, but the labeling config asks for one' in problems[0]


def test_a_text_in_base64_must_be_base64(tmp_path):
    encoded = ChoiceQuestion("c", "t", "Text", "text", ("Yes", "No"), encoding="base64")
    tasks, problems, _ = read(write(tmp_path / "a.csv", "text\nYWJj\nonly words\n"), encoded)
    assert [task.data["text"] for task in tasks] == ["YWJj"]
    assert 'field "text" is not in base64' in problems[0]


def test_label_studios_json_min(tmp_path):
    rows = [
        {"text": "a", "n": 1, "id": 64, "c": "Yes", "annotator": 1, "annotation_id": 1, "created_at": "x",
         "updated_at": "x", "lead_time": 2.5},
        {"text": "a", "n": 1, "id": 64, "c": {"choices": ["No"]}, "annotator": 2, "annotation_id": 2},
        {"text": "b", "id": 65, "annotator": None, "annotation_id": None, "lead_time": None},
    ]  # fmt: skip
    tasks, problems, remarks = read(write(tmp_path / "a.json", rows))
    assert [(task.data, task.label) for task in tasks] == [
        ({"text": "a", "n": 1}, "Yes"), ({"text": "a", "n": 1}, "No"), ({"text": "b"}, None),
    ]  # fmt: skip
    assert [given["completed_by"] for task in tasks for given in task.annotations] == [1, 2]
    assert tasks[0].annotations[0]["lead_time"] == 2.5
    assert problems == []
    assert remarks.lost["times of answers"] == 1


def test_our_own_export(tmp_path):
    row = {
        "task_id": 5, "annotation_id": 9, "control": "c", "label": "Yes", "annotator": "a@x.org", "skipped": False,
        "ground_truth": True, "lead_time": 3.0, "data": {"text": " x ", "split": "evaluation", "meta": {"n": [1]}},
    }  # fmt: skip
    skipped = row | {"label": None, "skipped": True, "ground_truth": False, "data": {"text": "y"}}
    other = row | {"control": "d", "data": {"text": "z"}}
    tasks, problems, remarks = read(write(tmp_path / "a.json", [row, skipped, other]))
    assert [task.data for task in tasks] == [row["data"], {"text": "y"}, {"text": "z"}]
    given = [annotation for task in tasks for annotation in task.annotations]
    assert [(each["was_cancelled"], each["ground_truth"]) for each in given] == [(False, True), (True, False)]
    assert {each["completed_by"] for each in given} == {"a@x.org"}
    assert problems == []
    assert 'item 3: it answers "d"' in remarks.lines[0]
    table = "task_id,annotation_id,label,annotator,skipped,ground_truth,lead_time,data.text,data.meta\n"
    table += '5,9,Yes,a@x.org,false,true,3.0," x ","{""n"": [1]}"\n'
    tasks, problems, _ = read(write(tmp_path / "a.csv", table))
    assert (tasks[0].data, tasks[0].label, problems) == ({"text": " x ", "meta": {"n": [1]}}, "Yes", [])


def test_another_column_of_our_export_may_be_the_label(tmp_path):
    table = "task_id,annotation_id,label,consensus_label,annotator,data.text\n5,9,No,Yes,a@x.org,one\n"
    path = write(tmp_path / "a.csv", table)
    ((task,), _, _) = read(path, label_column="consensus_label", text_column="data.text")
    assert (task.label, task.annotations, task.data) == ("Yes", (), {"text": "one"})


def test_a_picture_that_an_export_left_out_is_named(tmp_path):
    shortened = "data:image/png;base64,AAAA... (400 characters)"
    table = f'task_id,annotation_id,label,annotator,data.image\n5,9,A,a@x,"{shortened}"\n'
    tasks, problems, _ = read(write(tmp_path / "a.csv", table), PICTURES)
    assert tasks == []
    assert "was shortened by an export; export with --full" in problems[0]


def test_annotations_and_predictions_that_are_none_leave_their_task_alone(tmp_path):
    tasks = [
        {"data": {"text": "a"}, "annotations": "x", "predictions": 5},
        {"data": {"text": "b"}, "annotations": [{"result": "x"}, 7, {"result": chosen("Yes")}]},
        {"data": {"text": "c"}, "predictions": [3, {"result": None}, "x"]},
        {"data": {"text": "d"}, "predictions": [{"result": [], "model_version": "model-0001-1a2b3c4d.entropy-0001"}]},
    ]
    found, problems, remarks = read(write(tmp_path / "a.json", tasks))
    assert [(task.label, len(task.annotations), len(task.predictions)) for task in found] == [
        (None, 0, 0), ("Yes", 1, 0), (None, 0, 0), (None, 0, 0),
    ]  # fmt: skip
    assert problems == []
    assert len(remarks.lines) == 6
    assert {name for name, count in remarks.lost.items() if count} == {
        "predictions, for which an export has only the ids",
        "our own orders, which are made again",
    }


@pytest.mark.parametrize(
    ("line", "separator"), [("a,b", ","), ("a;b", ";"), ("a\tb", "\t"), ("a", ","), ("a;b,c", ",")]
)
def test_the_separator_is_what_the_first_line_has_most_of(line, separator):
    assert separator_of(line + "\nx;y;z;;;") == separator
