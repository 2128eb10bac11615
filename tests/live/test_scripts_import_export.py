"""create_project, import_tasks and export_annotations against a real Label Studio; what they share."""

import csv
import json

import pytest
from PIL import Image
from processes import free_port
from support.places import REPOSITORY
from typer.testing import CliRunner

from ml_backend.cli import annotation_rows, common, create_project, export_annotations, import_tasks
from ml_backend.errors import DataError, LabelStudioUnauthorized, LabelStudioUnreachable
from ml_backend.files import AtomicWriter
from ml_backend.label_studio import new_tasks
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.label_studio.image_files import idx_bytes, png_data_uri, read_idx
from ml_backend.label_studio.labeling_config import label_of, parse_label_config, result_for
from ml_backend.label_studio.queue_names import QueueName, parse_queue_name, queue_name

HEADLINES = str(REPOSITORY / "label_configs" / "headlines.xml")
SCRIPTS = (create_project, import_tasks, export_annotations)


@pytest.fixture
def run(label_studio, monkeypatch):
    """Run a script's command in this process, as the first account."""
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("BASIC_AUTH_USER", "BASIC_AUTH_PASS", "ACTIVE_LEARNING_VERBOSE"):
        monkeypatch.delenv(name, raising=False)

    def invoke(script, *arguments, code=0):
        result = CliRunner().invoke(script.app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert label_studio.token not in result.output
        return result

    return invoke


def tasks_of(project):
    return [row for page in project.client.all_tasks(project.id) for row in page]


def labels_of(project):
    return [label_of(row["annotations"][0]["result"], project.question) for row in tasks_of(project)]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def headlines(path, rows):
    return write(path, "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))


# --- common ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_help_needs_no_settings_and_takes_no_token(script, monkeypatch):
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    shown = CliRunner().invoke(script.app, ["--help"])
    assert shown.exit_code == 0
    assert "--url" in shown.output
    assert "--verbose" in shown.output
    assert "--token" not in shown.output


def test_no_token_is_one_line_with_the_variable_to_set(run, monkeypatch, tmp_path):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    result = run(export_annotations, "--project", 1, "--out", tmp_path / "a.json", code=1)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "LABEL_STUDIO_API_KEY is not set" in result.stderr


def test_a_token_is_asked_for_where_a_person_sits_at_a_terminal(run, monkeypatch, label_studio, tmp_path):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    asked = []
    monkeypatch.setattr(common.typer, "prompt", lambda text, **how: asked.append(how) or f" {label_studio.token}\n")
    monkeypatch.setattr(common, "_at_terminal", lambda: True)
    result = run(create_project, "--config", HEADLINES, "--title", "asked")
    assert asked == [{"hide_input": True, "err": True}]
    assert "Project" in result.stdout


def test_errors_are_one_line_and_a_traceback_on_request(run, tmp_path):
    arguments = ("--project", 1, "--out", tmp_path / "a.json", "--url", f"http://127.0.0.1:{free_port()}")
    result = run(export_annotations, *arguments, code=1)
    assert result.stderr.startswith("Error: No Label Studio answers at http://127.0.0.1:")
    assert result.stderr.count("\n") == 1
    assert "Traceback" in run(export_annotations, *arguments, "--verbose", code=1).stderr


def test_an_error_message_is_no_markup(run, tmp_path):
    result = run(create_project, "--config", tmp_path / "[red]x[/bold].xml", "--title", "No markup", code=1)
    assert "[red]x[/bold].xml cannot be read" in result.stderr


def test_ctrl_c_ends_with_130_and_a_plain_line(run, monkeypatch, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(LabelStudioClient, "project", interrupt)
    result = run(export_annotations, "--project", 1, "--out", tmp_path / "a.json", code=130)
    assert result.stderr.split() == ["Interrupted."]
    assert result.stdout == ""


# --- create_project --------------------------------------------------------------------------------------------------


def backend_answer(call):
    return 200, "application/json", json.dumps({"status": "UP", "model_class": "test", "model_version": "v"}).encode()


def hooks_of(client, project_id):
    return client.request("GET", "api/webhooks/", params={"project": project_id}).json()


def test_a_project_is_made_connected_and_found_again(run, label_studio, local_server, monkeypatch):
    monkeypatch.setenv("BASIC_AUTH_USER", "ls")
    monkeypatch.setenv("BASIC_AUTH_PASS", "pass-word")
    backend = local_server(backend_answer)
    arguments = ("--config", HEADLINES, "--title", "From a script", "--backend-url", backend.url + "/")
    first = run(create_project, *arguments)
    project = label_studio.client.find_project("From a script")
    assert f"Project {project.id}: {label_studio.url}/projects/{project.id}/data" in first.stdout
    assert project.sampling == UNCERTAINTY_SAMPLING
    assert "pass-word" not in first.output
    assert any("Authorization" in call.headers for call in backend.calls if call.path == "/health")

    label_studio.client.request("PATCH", f"api/projects/{project.id}", body={"sampling": "Sequential sampling"})
    assert run(create_project, *arguments).stdout == first.stdout
    assert label_studio.client.project(project.id).sampling == UNCERTAINTY_SAMPLING
    assert len(label_studio.client.backends(project.id)) == 1
    assert [hook["url"] for hook in hooks_of(label_studio.client, project.id)] == [f"{backend.url}/webhook"]


def test_a_lost_webhook_is_made_again_and_told(run, label_studio, local_server):
    backend = local_server(backend_answer)
    arguments = ("--config", HEADLINES, "--title", "Lost webhook", "--backend-url", backend.url)
    run(create_project, *arguments)
    client = label_studio.client
    project = client.find_project("Lost webhook")
    client.request("DELETE", f"api/webhooks/{hooks_of(client, project.id)[0]['id']}/")
    assert "was missing" in run(create_project, *arguments).stderr
    (hook,) = hooks_of(client, project.id)
    assert hook["send_for_all_actions"]
    client.request("PATCH", f"api/webhooks/{hook['id']}/", body={"is_active": False})
    assert "switched off" in run(create_project, *arguments).stderr


def test_a_refused_private_address_names_both_settings(run, monkeypatch, make_project):
    def refuse(*_, **__):  # what Label Studio 1.23.2 answers where ML_BLOCK_LOCAL_IP=false is missing
        raise LabelStudioUnauthorized("forbids this (URL resolves to a reserved network address (block: 127.0.0.0/8)).")

    monkeypatch.setattr(LabelStudioClient, "connect_backend", refuse)
    url = "http://127.0.0.1:1"
    result = run(create_project, "--config", HEADLINES, "--title", "SSRF", "--backend-url", url, code=1)
    assert "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false" in result.stderr
    assert "without its webhook" not in result.stderr


def test_the_half_set_case_is_told(run, monkeypatch, label_studio, local_server):
    """With ML_BLOCK_LOCAL_IP=false alone, Label Studio answers 403 and keeps the backend without its webhook."""
    backend = local_server(backend_answer)
    real = LabelStudioClient.connect_backend

    def half(self, project_id, *args, **kwargs):
        real(self, project_id, *args, **kwargs)
        raise LabelStudioUnauthorized("forbids this (URL resolves to a reserved network address (block: 127.0.0.0/8)).")

    monkeypatch.setattr(LabelStudioClient, "connect_backend", half)
    result = run(create_project, "--config", HEADLINES, "--title", "Half", "--backend-url", backend.url, code=1)
    assert "kept the backend all the same, but without its webhook" in result.stderr


def test_a_backend_that_is_down_is_told_without_talk_of_addresses(run):
    url = f"http://127.0.0.1:{free_port()}"
    result = run(create_project, "--config", HEADLINES, "--title", "Down", "--backend-url", url, code=1)
    assert "health check failed" in result.stderr
    assert "SSRF" not in result.stderr


def test_a_bad_config_is_told_before_anything_is_made(run, label_studio, tmp_path):
    config = write(tmp_path / "bad.xml", "<View><Text name='t' value='$t'/></View>")
    result = run(create_project, "--config", config, "--title", "Bad config", code=1)
    assert "exactly one is needed" in result.stderr
    assert label_studio.client.find_project("Bad config") is None


def test_a_title_that_belongs_to_another_question_is_refused(run):
    run(create_project, "--config", HEADLINES, "--title", "One title")
    mnist = REPOSITORY / "label_configs" / "mnist.xml"
    assert "asks another question" in run(create_project, "--config", mnist, "--title", "One title", code=1).stderr


# --- import_tasks ----------------------------------------------------------------------------------------------------


def test_an_import_can_be_run_again_and_brings_only_what_is_missing(run, make_project, tmp_path):
    project = make_project()
    rows = [(f"headline {number}", "related" if number % 2 else "not related") for number in range(6)]
    path = headlines(tmp_path / "h.csv", rows[:4])
    first = run(import_tasks, path, "--project", project.id)
    assert "Imported 4 tasks (4 with a label, 0 for evaluation); skipped 0" in first.stdout
    second = run(import_tasks, headlines(path, [*rows, rows[0]]), "--project", project.id)
    assert "Imported 2 tasks" in second.stdout
    assert "skipped 4 that were there and 1 doubles" in second.stdout
    assert "Imported 0 tasks" in run(import_tasks, path, "--project", project.id).stdout

    tasks = tasks_of(project)
    assert [row["data"]["text"] for row in tasks] == [text for text, _ in rows]
    assert labels_of(project) == [label for _, label in rows]
    assert all("label" not in row["data"] for row in tasks)
    assert len({row["data"]["import_key"] for row in tasks}) == 6


def test_tasks_that_came_another_way_are_not_doubled(run, make_project, tmp_path):
    project = make_project(tasks=[{"text": "known"}])
    run(import_tasks, write(tmp_path / "h.csv", "text\nknown\nnew\n"), "--project", project.id)
    assert [row["data"]["text"] for row in tasks_of(project)] == ["known", "new"]


def test_an_interrupted_import_says_how_to_go_on_and_can(run, make_project, tmp_path, monkeypatch):
    project = make_project()
    path = write(tmp_path / "h.csv", "text\n" + "".join(f"headline {number}\n" for number in range(5)))
    monkeypatch.setattr(new_tasks, "BATCH", 2)
    real, calls = LabelStudioClient.import_tasks, []

    def fails_once(self, project_id, tasks):
        calls.append(len(tasks))
        if len(calls) == 2:
            raise LabelStudioUnreachable("The server went away.")
        return real(self, project_id, tasks)

    monkeypatch.setattr(LabelStudioClient, "import_tasks", fails_once)
    result = run(import_tasks, path, "--project", project.id, code=1)
    assert "The server went away. 2 of 5 tasks are in; run the same command again" in result.stderr
    assert "Imported 3 tasks" in run(import_tasks, path, "--project", project.id).stdout
    assert calls == [2, 2, 2, 1]
    assert [row["data"]["text"] for row in tasks_of(project)] == [f"headline {number}" for number in range(5)]


@pytest.mark.parametrize(("evaluation", "size"), [("0.3", 3), ("4", 4)])
def test_the_held_out_tasks_are_drawn_by_the_seed(run, make_project, tmp_path, evaluation, size):
    rows = [(f"headline {number}", "related") for number in range(10)]
    held_out = []
    for seed, order in ((1, rows), (1, rows[::-1]), (2, rows)):
        project = make_project()
        path = headlines(tmp_path / "h.csv", order)
        run(import_tasks, path, "--project", project.id, "--evaluation", evaluation, "--seed", seed)
        tasks = tasks_of(project)
        held_out.append({row["data"]["text"] for row in tasks if row["data"].get("split") == "evaluation"})
        assert all(len(row["annotations"]) == 1 for row in tasks)
    assert [len(texts) for texts in held_out] == [size] * 3
    assert held_out[0] == held_out[1] != held_out[2]


def test_hidden_labels_stay_with_the_evaluation_tasks(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [(f"headline {number}", "related") for number in range(10)])
    result = run(import_tasks, path, "--project", project.id, "--hide-labels", "--evaluation", 4)
    assert "Imported 10 tasks (4 with a label, 4 for evaluation)" in result.stdout
    for row in tasks_of(project):
        assert bool(row["annotations"]) == (row["data"].get("split") == "evaluation")
    assert all(row["annotations"][0]["ground_truth"] for row in project.client.export(project.id))


def test_evaluation_tasks_are_drawn_from_the_labelled_ones(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [(f"h {n}", "related" if n < 4 else "") for n in range(40)])
    run(import_tasks, path, "--project", project.id, "--evaluation", "0.5")
    held_out = [row for row in tasks_of(project) if row["data"].get("split")]
    assert len(held_out) == 2
    assert all(row["annotations"] for row in held_out)


@pytest.mark.parametrize("wanted", ["0", "10", "1.0", "-1", "a lot", "nan", "inf"])
def test_an_evaluation_part_must_be_a_part(run, make_project, tmp_path, wanted):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [(f"headline {number}", "related") for number in range(10)])
    assert (
        f"--evaluation {wanted}"
        in run(import_tasks, path, "--project", project.id, f"--evaluation={wanted}", code=1).stderr
    )
    assert tasks_of(project) == []


BAD_ROWS = 'text,label\n"a\nb",related\nc,relatd\n\nd,\n,related\ne,not related\nf,Related\n'


def test_unknown_labels_are_told_with_their_lines_and_left_out(run, make_project, tmp_path):
    project = make_project()
    path = write(tmp_path / "h.csv", BAD_ROWS)
    result = run(import_tasks, path, "--project", project.id)
    assert f'{path}, line 4: label "relatd" is not in the labeling config; left out' in result.stderr
    assert f'{path}, line 9: label "Related"' in result.stderr
    assert "line 7" in result.stderr  # the empty text
    assert "Imported 3 tasks (2 with a label" in result.stdout
    assert "left out 3 bad items" in result.stdout
    assert [row["data"]["text"] for row in tasks_of(project)] == ["a\nb", "d", "e"]


def test_strict_imports_nothing_where_a_label_is_unknown(run, make_project, tmp_path):
    project = make_project()
    path = write(tmp_path / "h.csv", BAD_ROWS)
    assert "nothing was imported" in run(import_tasks, path, "--project", project.id, "--strict", code=1).stderr
    assert tasks_of(project) == []


def test_hidden_labels_need_not_be_known(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [("a", "relatd"), ("b", "related")])
    assert (
        "Imported 2 tasks (0 with a label" in run(import_tasks, path, "--project", project.id, "--hide-labels").stdout
    )


def test_nothing_to_import_is_an_error(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [("a", "b"), ("c", "d")])
    result = run(import_tasks, path, "--project", project.id, code=1)
    assert f"Nothing in {path} could be imported" in result.stderr


def test_many_problems_are_told_in_short(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [(f"h {n}", "?") for n in range(30)] + [("good", "related")])
    result = run(import_tasks, path, "--project", project.id)
    assert "... and 10 more" in result.stderr
    assert result.stderr.count("left out") == 20


def test_json_lines_with_other_names(run, make_project, tmp_path):
    project = make_project()
    rows = [{"title": "a", "kind": "related", "id": 7}, {"title": "b", "kind": "?"}, {"title": "c"}]
    path = write(tmp_path / "h.jsonl", "\n".join(json.dumps(row) for row in rows))
    result = run(import_tasks, path, "--project", project.id, "--text-column", "title", "--label-column", "kind")
    assert f"{path}, line 2: label" in result.stderr
    data = [row["data"] for row in tasks_of(project)]
    assert [(row["text"], row.get("id")) for row in data] == [("a", 7), ("c", None)]


def test_label_studio_json_brings_its_annotations(run, make_project, tmp_path):
    project = make_project()
    task = {"data": {"text": "a"}, "annotations": [{"result": project.answer("related")}]}
    run(import_tasks, write(tmp_path / "h.json", json.dumps([task])), "--project", project.id)
    assert labels_of(project) == ["related"]


def test_idx_images_come_with_their_labels_and_survive_the_way(run, make_project, shared_data, tmp_path):
    source = shared_data / "mnist"
    images = read_idx(source / "t10k-images-idx3-ubyte.gz")[:12]
    labels = read_idx(source / "t10k-labels-idx1-ubyte.gz")[:12]
    path, answers = tmp_path / "some-images-idx3-ubyte.gz", tmp_path / "answers.gz"
    path.write_bytes(idx_bytes(images))
    answers.write_bytes(idx_bytes(labels))
    project = make_project("mnist")
    run(import_tasks, path, "--project", project.id, "--labels", answers)
    assert [row["data"]["image"] for row in tasks_of(project)] == [png_data_uri(image) for image in images]
    assert labels_of(project) == [str(label) for label in labels]


def test_an_image_folder_gives_labels_by_its_folders(run, make_project, tmp_path, shared_data):
    images = read_idx(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")[:3]
    for image, label in zip(images, "701", strict=True):
        (tmp_path / label).mkdir()
        Image.fromarray(image).save(tmp_path / label / "a.png")
    project = make_project("mnist")
    run(import_tasks, tmp_path, "--project", project.id)
    assert sorted(labels_of(project)) == ["0", "1", "7"]


# --- export_annotations ----------------------------------------------------------------------------------------------


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
    assert list(rows[0])[: len(annotation_rows.COLUMNS)] == list(export_annotations.COLUMNS)
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


# --- queue names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("start.random-0001", QueueName(None, "random", 1)),
        ("mnist_cnn-0003-1a2b3c4d.dropout_entropy-0007", QueueName("mnist_cnn-0003-1a2b3c4d", "dropout_entropy", 7)),
        ("m-0001-00ff00ff.k-center-12345", QueueName("m-0001-00ff00ff", "k-center", 12345)),
    ],
)
def test_queue_names_are_written_and_read(name, parts):
    assert parse_queue_name(name) == parts
    assert queue_name(parts.version, parts.strategy, parts.number) == name == str(parts)


@pytest.mark.parametrize(
    "name",
    [None, "", "Active learning", "v1", "a.b", "a.b-1", ".b-0001", "a.-0001", "a.b.c-0001", "a b.c-0001", "a.b-0001\n"],
)
def test_other_names_are_no_queue_names(name):
    assert parse_queue_name(name) is None


@pytest.mark.parametrize(
    "parts",
    [("a.b", "entropy", 1), ("a", "my strategy", 1), ("a", "", 1), ("", "x", 1), ("start", "x", 1), ("a", "x", -1)],
)
def test_a_queue_name_that_could_not_be_read_again_is_refused(parts):
    with pytest.raises(ValueError, match="No queue can be named"):
        queue_name(*parts)


def test_the_example_configs_are_questions_that_we_support():
    for path in (REPOSITORY / "label_configs").glob("*.xml"):
        assert parse_label_config(path.read_text(encoding="utf-8"), project=path.name).labels
