"""Configs, answers and files in the shape of public reports, through a real Label Studio."""

import base64
import json

import pytest
from pydantic import SecretStr
from support.places import REPOSITORY
from support.rounds import has_warning, round_of
from support.scripts import tasks_of, write

from ml_backend.cli import create_project, export_annotations, import_tasks
from ml_backend.config import ProjectSettings, Settings
from ml_backend.doctor.access import labeling_config
from ml_backend.doctor.diagnosis import Context
from ml_backend.errors import LabelConfigError
from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.importing.new_tasks import send
from ml_backend.label_studio.answers import label_of
from ml_backend.label_studio.labeling_config import parse_label_config, read_label_config
from ml_backend.rounds.run import Workspace
from ml_backend.server import create_app

CASES = REPOSITORY / "tests" / "data" / "cases"
YES_NO = """<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="Yes"/><Choice value="No"/>
</Choices><Rating name="quality" toName="t"/></View>"""
SETTINGS = ProjectSettings(text_model="headlines", queue_size=10, control_share=0, hyperparameters={"steps": 20})
WORDS = ("flood storm fire", "goal match cup")


def case(name):
    return (CASES / name).read_text(encoding="utf-8")


def texts(count):
    return [f"{WORDS[number % 2]} number {number}" for number in range(count)]


def learnt(make_project, tmp_path, config, data, *, answer=None, fetcher=None):
    """The report of a round over a project, all but four of whose tasks are answered A and B in turn; the project."""
    project, rows = make_project(config=config), [{"data": dict(each)} for each in data]
    for place, row in enumerate(rows[:-4]):
        label = "AB"[place % 2]
        row["annotations"] = [{"result": answer(label) if answer else project.answer(label)}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    more = {"fetcher": fetcher} if fetcher else {}
    return round_of(Workspace(project.client, tmp_path, SETTINGS, **more), project.id), project


def guesses(project, report):
    rows = [row for row in project.client.predictions(project.id) if row["model_version"] == report.queue.name]
    return {row["task"]: row["result"] for row in rows}


# --- labeling configs ------------------------------------------------------------------------------------------------


def nested(label):
    return [{"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": [[label]]}}]


def test_nested_answers_are_counted_and_guesses_are_written_so_that_the_page_ticks_them(make_project, tmp_path):
    data = [{"text": text} for text in texts(24)]
    report, project = learnt(make_project, tmp_path, case("allownested_flat.xml"), data, answer=nested)
    assert sum(report.label_counts.values()) == 20
    assert report.published
    found = guesses(project, report)
    assert len(found) == 4
    assert all(result[0]["value"]["choices"] in ([["A"]], [["B"]]) for result in found.values())


LEAVES = """<View><Text name="t" value="$text"/><Taxonomy name="c" toName="t" maxUsages="3" leafsOnly="true">
<Choice value="Near"><Choice value="wet"/><Choice value="hot"/></Choice><Choice value="Far"><Choice value="away"/>
</Choice></Taxonomy></View>"""
WAYS = {"A": [["Near", "wet"], ["Near", "hot"]], "B": [["Far", "away"]]}


def leaves(label):
    return [{"from_name": "c", "to_name": "t", "type": "taxonomy", "value": {"taxonomy": WAYS[label]}}]


def test_several_leaves_of_a_taxonomy_are_learnt_and_guessed_with_their_ways(make_project, tmp_path):
    data = [{"text": text} for text in texts(24)]
    report, project = learnt(make_project, tmp_path, LEAVES, data, answer=leaves)
    assert report.label_counts == {"wet": 10, "hot": 10, "away": 10}
    found = guesses(project, report)
    assert len(found) == 4
    for task_id, result in found.items():
        assert result[0]["value"]["taxonomy"] == WAYS["AB"[project.task_ids.index(task_id) % 2]]


@pytest.mark.parametrize("name", ["lowercase_tags.xml", "nested_field.xml", "encoding_base64.xml"])
def test_configs_that_work(make_project, tmp_path, name):
    shown = {
        "lowercase_tags.xml": lambda text: {"text": text},
        "nested_field.xml": lambda text: {"meta": {"text": text}},
        "encoding_base64.xml": lambda text: {"text": base64.b64encode(text.encode()).decode()},
    }[name]
    report, project = learnt(make_project, tmp_path, case(name), [shown(text) for text in texts(24)])
    assert sum(report.label_counts.values()) == 20
    assert report.published
    assert report.left_out == {}
    assert all(label_of(result, project.question) in "AB" for result in guesses(project, report).values())


def test_texts_behind_urls_are_learnt_once(make_project, tmp_path, local_server):
    server = local_server(lambda call: (200, "text/plain", texts(24)[int(call.path[1:])].encode()))
    data = [{"text": f"{server.url}/{number}"} for number in range(24)]
    fetcher = Fetcher(AddressRules(local=True))
    report, project = learnt(make_project, tmp_path, case("valuetype_url.xml"), data, fetcher=fetcher)
    assert report.published
    assert report.left_out == {}
    assert len(server.calls) == 24
    for task_id, result in guesses(project, report).items():
        place = project.task_ids.index(task_id)
        assert label_of(result, project.question) == "AB"[place % 2], "the words tell, the URLs do not"
    round_of(Workspace(project.client, tmp_path, SETTINGS, fetcher=fetcher), project.id)
    assert len(server.calls) == 24, "what was read is kept"


@pytest.mark.parametrize("name", ["choice_from_task.xml", "nonascii_field.xml"])
def test_configs_that_annotators_would_see_otherwise_are_refused(name):
    with pytest.raises(LabelConfigError, match="annotators"):
        parse_label_config(case(name))


def test_what_annotators_do_not_always_see_is_said_by_all_who_connect(run, label_studio, tmp_path, caplog):
    xml = YES_NO.replace('toName="t">', 'toName="t" visibleWhen="choice-selected" whenTagName="first">', 1)
    (warning,) = read_label_config(xml).warnings
    title = "Said by all"
    result = run(create_project, "--config", write(tmp_path / "c.xml", xml), "--title", title)
    assert warning in result.stderr
    project = label_studio.client.find_project(title)
    settings = Settings(
        model_dir=tmp_path, label_studio_url=label_studio.url, label_studio_api_key=SecretStr(label_studio.token)
    )
    with Context(settings, project.id) as context:
        finding = labeling_config(context)
    assert finding.status == "warning"
    assert warning in finding.message
    client = create_app(settings).test_client()
    assert client.post("/validate", json={"config": xml}).json["warnings"] == [warning]
    assert client.post("/setup", json={"project": project.uid, "schema": xml}).status_code == 200
    assert warning in caplog.text


# --- answers ---------------------------------------------------------------------------------------------------------


def test_answers_that_cannot_be_read_are_named_and_no_round_fails(make_project, tmp_path):
    tasks = [{"text": text} for text in texts(12)]
    project = make_project(config=YES_NO, tasks=tasks, labels=("Yes", "No") * 4)
    bad = project.client.import_tasks(project.id, json.loads(case("malformed_results.json")))
    plain = project.client.import_tasks(project.id, json.loads(case("uncounted_answers.json")))
    report = round_of(Workspace(project.client, tmp_path, SETTINGS), project.id)
    assert report.published
    assert report.label_counts == {"Yes": 6, "No": 4}
    has_warning(report, "Answers to 5 tasks cannot be read", *(f"task {task_id}, annotation" for task_id in bad))
    has_warning(report, "Labels that the labeling config does not list", "'1'")
    assert len(plain) == 3
    assert not {p.task_id for p in report.queue.predictions} & {*bad, *plain}


# --- import ----------------------------------------------------------------------------------------------------------


def imported(run, make_project, name, *options, code=0, config=YES_NO):
    project = make_project(config=config)
    return run(import_tasks, CASES / name, "--project", project.id, *options, code=code), project


def test_answers_of_another_control_are_no_labels(run, make_project):
    result, project = imported(run, make_project, "two_ctrl.json")
    assert "Imported 3 tasks (2 with a label" in result.stdout
    found = [label_of(row["annotations"][0]["result"], project.question) for row in tasks_of(project)]
    assert found == ["No", "No", None]
    assert len(tasks_of(project)[0]["annotations"][0]["result"]) == 2


def test_all_annotators_are_kept_apart(run, make_project, label_studio, tmp_path):
    people = [label_studio.create_user() for _ in range(4)]
    text = case("three_annotators.json")
    for number, person in enumerate(people, start=1):
        text = text.replace(f'"completed_by": {number},', f'"completed_by": {{"email": "{person.email}"}},')
    project = make_project(config=YES_NO)
    run(import_tasks, write(tmp_path / "a.json", text), "--project", project.id)
    given = [
        {a["completed_by"]: label_of(a["result"], project.question) for a in row["annotations"]}
        for row in tasks_of(project)
    ]
    ids = [person.id for person in people]
    assert given == [
        dict(zip(ids, ["No", "No", "Yes"], strict=False)),
        dict(zip(ids, ["Yes", "Yes", "Yes", "No"], strict=False)),
        dict(zip(ids, ["No", "Yes"], strict=False)),
    ]


def test_annotators_without_an_account_are_told_and_never_merged(run, make_project, tmp_path):
    text = case("three_annotators.json").replace('"completed_by": ', '"completed_by": 99000')
    project = make_project(config=YES_NO)
    path = write(tmp_path / "a.json", text)
    result = run(import_tasks, path, "--project", project.id, code=1)
    assert "these have no account here: 990001, 990002, 990003" in result.stderr
    assert tasks_of(project) == []
    result = run(import_tasks, path, "--project", project.id, "--leave-out-unknown")
    assert "9 answers of annotators without an account here are left out" in result.stdout
    assert [row["annotations"] for row in tasks_of(project)] == [[], [], []]


def test_predictions_and_meta_are_kept(run, make_project):
    _, project = imported(run, make_project, "preds.json")
    (row,) = project.client.predictions(project.id)
    assert (row["model_version"], row["score"]) == ("v0", 0.9)
    assert label_of(row["result"], project.question) == "Yes"
    (task,) = as_exported(project.client, project.id)
    assert task["meta"] == {"src": "x"}


def test_bad_rows_leave_the_others_in(run, make_project):
    result, project = imported(run, make_project, "lone_surrogate.json")
    assert "item 1: it has a text with half a character" in result.stderr
    assert [row["data"]["text"] for row in tasks_of(project)] == ["fine"]
    assert "item 1: it has a number" in imported(run, make_project, "nan.json", code=1)[0].stderr


def test_semicolons_and_urls_of_storages(run, make_project):
    _, project = imported(run, make_project, "semi.csv")
    assert [row["data"]["text"] for row in tasks_of(project)] == ["nice, sunny day", "bad day"]
    pictures = YES_NO.replace("Text", "Image").replace("$text", "$image").replace("Yes", "A").replace("No", "B")
    result, _ = imported(run, make_project, "s3.csv", config=pictures)
    assert "Imported 6 tasks (6 with a label" in result.stdout


def test_labels_with_spaces(run, make_project):
    config = YES_NO.replace("Yes", " A ").replace("No", "B&#10;x")
    result, project = imported(run, make_project, "ws_label.csv", config=config)
    assert "Imported 3 tasks (3 with a label" in result.stdout
    found = [label_of(row["annotations"][0]["result"], project.question) for row in tasks_of(project)]
    assert found == [" A ", " A ", "B\nx"]


def test_rows_that_only_label_studio_refuses_are_found_and_named(run, make_project, tmp_path):
    """The config shows a second field, which some rows lack: Label Studio refuses all rows of such a call."""
    config = YES_NO.replace("<Text ", '<Text name="more" value="$more"/><Text ', 1)
    project = make_project(config=config)
    rows = [{"text": f"text {number}"} | ({} if number in (3, 7) else {"more": "x"}) for number in range(10)]
    path = write(tmp_path / "a.json", json.dumps(rows))
    result = run(import_tasks, path, "--project", project.id)
    assert f"{path}, item 4: " in result.stderr
    assert f"{path}, item 8: " in result.stderr
    assert '"more" key is expected in task data' in result.stderr
    assert "Imported 8 tasks" in result.stdout
    assert "left out 2 bad items" in result.stdout
    assert len(tasks_of(project)) == 8


def test_a_dry_run_says_all_and_does_nothing(run, make_project):
    result, project = imported(run, make_project, "two_ctrl.json", "--dry-run")
    assert "Nothing was imported (--dry-run). Without it: Imported 3 tasks (2 with a label" in result.stdout
    assert 'it does not answer "c"' in result.stderr
    assert tasks_of(project) == []


def as_exported(client, project_id, kind="JSON"):
    answer = client.request(
        "GET", f"api/projects/{project_id}/export", params={"exportType": kind, "download_all_tasks": "true"}, what="x"
    )
    return answer.json() if kind.startswith("JSON") else answer.text


def state(project):
    """What a project holds, without the numbers and times that each import makes anew."""
    return [
        {
            "data": row["data"],
            "meta": row["meta"],
            "annotations": [
                {name: given[name] for name in ("completed_by", "result", "was_cancelled", "ground_truth", "lead_time")}
                for given in row["annotations"]
            ],
        }
        for row in sorted(as_exported(project.client, project.id), key=lambda row: row["id"])
    ]


@pytest.fixture
def filled(make_project, label_studio):
    """A project with two annotators, a skip, meta, a held-out task and white space that counts."""
    project = make_project(config=YES_NO, tasks=0)
    other = label_studio.create_user()
    me = project.client.whoami()["id"]
    answer = project.answer
    rows = [
        {"data": {"text": " first ", "n": 1.5, "list": [1, {"a": None}]}, "meta": {"src": ["x"]},
         "annotations": [{"result": answer("Yes"), "completed_by": me, "ground_truth": False, "lead_time": 2.5},
                         {"result": answer("No"), "completed_by": other.id, "ground_truth": False}]},
        {"data": {"text": "skipped"}, "annotations": [{"result": [], "was_cancelled": True, "ground_truth": False}]},
        {"data": {"text": "held out", "split": "evaluation"},
         "annotations": [{"result": answer("No"), "ground_truth": True}]},
        {"data": {"text": "open"}},
    ]  # fmt: skip
    for row in rows:  # as `lsal import` marks tasks
        row["data"]["import_key"] = "made anew"
    project.client.import_tasks(project.id, rows)
    return project


def without_keys(found):
    return [
        row | {"data": {name: value for name, value in row["data"].items() if name != "import_key"}} for row in found
    ]


def test_label_studios_export_comes_back_to_the_same_state(run, make_project, filled, tmp_path):
    path = write(tmp_path / "a.json", json.dumps(as_exported(filled.client, filled.id)))
    copy = make_project(config=YES_NO)
    result = run(import_tasks, path, "--project", copy.id)
    assert "Imported 4 tasks (2 with a label" in result.stdout
    assert "Label Studio's import does not keep: times of answers (4)" in result.stderr
    assert without_keys(state(copy)) == without_keys(state(filled))
    again = make_project(config=YES_NO)
    run(import_tasks, write(tmp_path / "b.json", json.dumps(as_exported(copy.client, copy.id))), "--project", again.id)
    assert state(again) == state(copy)


def test_our_export_comes_back_to_the_same_state(run, make_project, filled, tmp_path):
    out = tmp_path / "a.json"
    run(export_annotations, "--project", filled.id, "--format", "label-studio", "--out", out)
    copy = make_project(config=YES_NO)
    run(import_tasks, out, "--project", copy.id)
    plain = [row | {"meta": None} for row in without_keys(state(copy))]
    assert plain == [row | {"meta": None} for row in without_keys(state(filled))]


@pytest.mark.parametrize("kind", ["JSON_MIN", "CSV", "TSV"])
def test_label_studios_flat_exports_come_back_with_their_annotators(run, make_project, filled, tmp_path, kind):
    found = as_exported(filled.client, filled.id, kind)
    path = tmp_path / f"a.{kind.lower().replace('_min', '')}"
    copy = make_project(config=YES_NO)
    run(import_tasks, write(path, json.dumps(found) if kind == "JSON_MIN" else found), "--project", copy.id)

    def labels(project):
        return {
            row["data"]["text"].strip(): {
                given["completed_by"]: label_of(given["result"], project.question)
                for given in row["annotations"]
                if not given["was_cancelled"]
            }
            for row in as_exported(project.client, project.id)
            if row["data"]["text"] != "skipped"  # Label Studio leaves it out of these forms
        }

    assert labels(copy) == labels(filled)


def test_half_a_million_characters_and_many_of_them_go_in_calls_that_are_taken(make_project):
    project = make_project("mnist")
    picture = "data:image/png;base64," + "A" * 400_000
    rows = [{"data": {"image": picture, "n": number}} for number in range(3)]
    calls = []
    send(project.client, project.id, rows, lambda done, total: calls.append(done))
    assert calls == [3]
    assert len(tasks_of(project)) == 3
