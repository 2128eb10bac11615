"""The connector's contract: setup, predictions, the small routes, and requests that are none."""

import re
import threading
from types import SimpleNamespace

import pytest
from support.requested import CONFIG, TASKS, TOKEN, UNSUPPORTED, predict_body, setup_body
from support.served import UID, VERSION, publish

from ml_backend.errors import LabelStudioUnreachable
from ml_backend.rounds.from_settings import LIBRARY
from ml_backend.server import create_app
from ml_backend.store.project_store import ProjectStore


def test_setup_before_a_first_round(client, settings):
    answer = client.post("/setup", json=setup_body())
    assert (answer.status_code, answer.json) == (200, {"model_version": "untrained"})
    assert TOKEN not in answer.text
    assert not any(TOKEN.encode() in p.read_bytes() for p in settings.model_dir.rglob("*") if p.is_file())


def test_setup_reports_the_served_version(client, settings):
    name = publish(settings, UID, {})
    assert client.post("/setup", json=setup_body()).json == {"model_version": name}


@pytest.mark.parametrize("uid", ["7.1900000000", "9.1", "1.9999999999"])
def test_a_made_up_project_is_refused_and_leaves_nothing(client, settings, uid):
    answer = client.post("/setup", json=setup_body(project=uid, extra_params={"strategy": "bald"}))
    assert answer.status_code == 404
    assert f"has no project {uid}" in answer.json["error"]
    assert list(settings.model_dir.iterdir()) == []


def test_without_anybody_to_ask_nothing_is_kept_of_an_unknown_project(settings):
    client = create_app(settings).test_client()  # no token
    assert client.post("/setup", json=setup_body()).json == {"model_version": "untrained"}
    answer = client.post("/setup", json=setup_body(extra_params={"strategy": "bald"}))
    assert (answer.status_code, "LABEL_STUDIO_API_KEY" in answer.json["error"]) == (400, True)
    assert list(settings.model_dir.iterdir()) == []
    ProjectStore(settings.model_dir, UID).set_extra_params({})
    assert client.post("/setup", json=setup_body(extra_params={"strategy": "bald"})).status_code == 200


def without_tags(text):
    return re.sub(r"<(\w+)>", r"\1", text)


def test_an_unsupported_config_is_explained_in_the_status_line(client):
    answer = client.post("/setup", json=setup_body(schema=UNSUPPORTED))
    assert answer.status == (
        "422 The labeling config of project 7 asks about Audio; supported: Image, Text, HyperText, "
        "Paragraphs. Change it in Settings > Labeling Interface."
    ), "no tags: Label Studio shows it as HTML"
    assert "asks about <Audio>; supported: <Image>, <Text>" in answer.json["error"]


def test_what_to_know_about_a_config_is_logged_once_for_each_config(client, caplog):
    hidden = CONFIG.replace('value="no"', 'value="no" visible="false"')
    said = []
    for schema in (hidden, hidden, CONFIG, hidden):
        caplog.clear()
        assert client.post("/setup", json=setup_body(schema=schema)).status_code == 200
        said.append([record.getMessage() for record in caplog.records if "labeling config" in record.getMessage()])
    assert said == [[f"project {UID}: labeling config: Annotators do not see the choice 'no'"], [], [], said[0]]


@pytest.mark.parametrize("params", [{"strategy": "bald"}, '{"strategy": "bald"}', ' {"strategy":\n "bald"} '])
def test_extra_params_as_an_object_and_as_the_text_that_was_typed(client, settings, params):
    assert client.post("/setup", json=setup_body(extra_params=params)).status_code == 200
    assert ProjectStore(settings.model_dir, UID).extra_params() == {"strategy": "bald"}


@pytest.mark.parametrize("params", [None, "", "  ", {}, "{}", "null"])
def test_no_extra_params_take_earlier_ones_back(client, settings, params):
    client.post("/setup", json=setup_body(extra_params={"strategy": "bald"}))
    assert client.post("/setup", json=setup_body(extra_params=params)).status_code == 200
    assert ProjectStore(settings.model_dir, UID).extra_params() == {}


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"strategy": "best"}, "Extra params: strategy: Unknown strategy 'best'; choose one of: auto"),
        ({"queue": 5}, "Extra params: queue: "),
        ({"queue_size": TOKEN}, "Extra params: queue_size: "),
        ({"hyperparameters": {"encoder": "sentence_transformers:/etc"}}, "outside those that encoders may be loaded"),
        ({"hyperparameters": {"encoder": "/etc"}}, "outside those that encoders may be loaded from (none)"),
        ([1], "must be a JSON object"),
        ("strategy=bald", "must be a JSON object"),
        ("[1]", "must be a JSON object"),
        (5, "must be a JSON object"),
    ],
)
def test_bad_extra_params_are_refused_and_the_old_ones_stay(client, settings, params, reason):
    client.post("/setup", json=setup_body(extra_params={"strategy": "bald"}))
    answer = client.post("/setup", json=setup_body(extra_params=params))
    assert answer.status_code == 400
    assert reason in answer.status
    assert TOKEN not in answer.status + answer.text
    assert ProjectStore(settings.model_dir, UID).extra_params() == {"strategy": "bald"}


def test_predict_before_a_first_round(client):
    answer = client.post("/predict", json=predict_body())
    unknown = {"result": [], "score": 1.0, "model_version": "untrained"}
    assert answer.json == {"results": [unknown] * 2, "model_version": "untrained"}


def test_predict_gives_one_answer_per_task(client, settings):
    name = publish(settings, UID, {2: 0.125})
    tasks = [*TASKS, {"id": 3, "data": {"other": "x"}}, {"id": 4, "data": {"text": " "}}]
    answer = client.post("/predict", json=predict_body(tasks=tasks)).json
    assert answer["model_version"] == name
    flood, football, no_field, empty = answer["results"]
    assert flood["result"][0]["value"] == {"choices": ["yes"]}
    assert football["result"][0]["value"] == {"choices": ["no"]}
    assert 0 < flood["score"] < 1
    assert football["score"] == 0.125  # as published: asking again does not change the order
    assert no_field == empty == {"result": [], "score": 1.0, "model_version": name}
    assert client.post("/predict", json=predict_body(tasks=tasks[:1])).json["results"] == [flood]


def test_predict_with_choices_that_changed_since_the_training(client, settings):
    publish(settings, UID, {})
    changed = CONFIG.replace("yes", "maybe")
    answer = client.post("/predict", json=predict_body(label_config=changed)).json
    assert [row["result"] for row in answer["results"]] == [[], []]


def test_predict_with_another_question_of_the_same_choices_shows_no_guess_of_the_first(client, settings):
    publish(settings, UID, {})
    store = ProjectStore(settings.model_dir, UID)
    store.update_manifest(store.manifest(VERSION).model_copy(update={"control": "other"}), None)
    answer = client.post("/predict", json=predict_body()).json
    assert [row["result"] for row in answer["results"]] == [[], []]


def test_many_projects_at_once(client, settings):
    names = {f"{number}.1": publish(settings, f"{number}.1", {1: number / 10}) for number in range(1, 5)}
    wrong = []

    def ask(uid):
        with client.application.test_client() as own:
            for _ in range(5):
                answer = own.post("/predict", json=predict_body(project=uid)).json
                if (answer["model_version"], answer["results"][0]["score"]) != (names[uid], int(uid[0]) / 10):
                    wrong.append((uid, answer))

    threads = [threading.Thread(target=ask, args=(uid,)) for uid in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_versions(client, settings):
    assert client.get("/versions").json == {"versions": []}
    publish(settings, UID, {})
    assert client.get(f"/versions?project={UID}").json == {"versions": [VERSION]}
    assert client.post("/versions", json={"project": UID}).json == {"versions": [VERSION]}
    assert client.post("/versions", json=[]).json == {"versions": []}


def test_validate(client):
    assert client.post("/validate", json={"config": CONFIG}).status_code == 200
    answer = client.post("/validate", json={"config": UNSUPPORTED})
    assert answer.status_code == 422
    assert "asks about Audio" in answer.status
    to_come = client.post("/validate", json={"config": CONFIG.replace("<Choices ", '<Choices value="$options" ')})
    assert to_come.status_code == 200
    assert "Import tasks" in to_come.json["warnings"][0]


def test_deleting_the_connection_keeps_the_versions(client, settings):
    publish(settings, UID, {})
    assert client.post("/delete", json={"project": UID}).status_code == 200
    assert client.get(f"/versions?project={UID}").json == {"versions": [VERSION]}


def test_a_copied_project_starts_without_a_model(client, settings):
    publish(settings, UID, {})
    answer = client.post("/duplicate_model", json={"project_src": UID, "project_dst": "8.1"})
    assert (answer.status_code, answer.json["model_version"]) == (200, "untrained")
    assert client.get("/versions?project=8.1").json == {"versions": []}


@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook", "/validate", "/job_status"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe"])
def test_a_body_that_is_no_json_object(client, path, content):
    for content_type in ("application/json", "text/plain"):
        answer = client.post(path, data=content, content_type=content_type)
        assert answer.status == "400 The request's body must be a JSON object."
        assert answer.json == {"error": "The request's body must be a JSON object."}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/setup", {}, 400),
        ("/setup", {"project": UID}, 400),
        ("/setup", setup_body(project=7), 400),
        ("/setup", setup_body(schema=""), 400),
        ("/setup", setup_body(schema="<View>"), 422),
        ("/setup", setup_body(project="../x"), 400),
        ("/predict", {}, 400),
        ("/predict", predict_body(tasks="x"), 400),
        ("/predict", predict_body(tasks=[1]), 400),
        ("/predict", predict_body(tasks=[{"id": 1}]), 400),
        ("/predict", predict_body(tasks=[{"data": {}}]), 400),
        ("/predict", predict_body(label_config=UNSUPPORTED), 422),
        ("/predict", predict_body(project="../x"), 400),
        ("/validate", {}, 400),
        ("/versions?project=../x", {}, 400),
        ("/nothing", {}, 404),
    ],
)
def test_wrong_requests_say_so_in_one_line(client, settings, path, body, status):
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert answer.status == f"{status} {without_tags(answer.json['error'])}"
    assert len(answer.json["error"]) > 10
    assert "Traceback" not in answer.text
    assert list(settings.model_dir.parent.glob("x*")) == []


def test_a_wrong_method(client):
    assert client.get("/predict").status_code == 405
    assert "error" in client.get("/predict").json


def asked_of_a_failing_label_studio(settings, error):
    """The answer to /setup where asking for the project ends with an error."""

    def confirms(uid):
        raise error

    app = create_app(settings, projects=SimpleNamespace(confirms=confirms))
    return app.test_client().post("/setup", json=setup_body())


def test_an_error_that_nobody_foresaw_shows_nothing_of_itself(settings, caplog):
    answer = asked_of_a_failing_label_studio(settings, RuntimeError(f"secret {TOKEN}"))
    assert answer.status == "500 The backend failed; its log says why."
    assert TOKEN not in answer.text
    assert "Traceback" not in answer.text
    assert "RuntimeError" in caplog.text  # the log has it


def test_our_errors_become_one_line_of_latin_1(settings):
    error = LabelStudioUnreachable("first line\r\nX-Injected: yes\n洪水 → über")
    answer = asked_of_a_failing_label_studio(settings, error)
    assert answer.status == "503 first line X-Injected: yes ?? ? über"
    assert "X-Injected" not in answer.headers
    assert answer.json["error"].endswith("洪水 → über")


def stand_in(settings, **changes):
    """Store an older version beside the published one."""
    store = ProjectStore(settings.model_dir, UID)
    whole = store.manifest(VERSION)
    older = {"name": "headlines-0000-0123abcd", "number": 0} | changes
    store.write_version(whole.model_copy(update=older), store.weights(VERSION))
    return older["name"]


@pytest.mark.parametrize("part", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 100])
def test_the_newest_whole_version_answers_for_a_damaged_one(client, settings, caplog, part, content):
    name = publish(settings, UID, {2: 0.125})
    whole = client.post("/predict", json=predict_body()).json
    LIBRARY._models.clear()
    older = stand_in(settings)
    (settings.model_dir / f"project-{UID}" / "versions" / VERSION / part).write_bytes(content)
    for _ in range(2):
        answer = client.post("/predict", json=predict_body())
        assert answer.status_code == 200
        assert answer.json == whole, "the same queue and order"
    assert answer.json["model_version"] == name
    told = [line for line in caplog.messages if f"{older} answers in the place of {VERSION}" in line]
    assert len(told) == 1
    assert part in told[0]


@pytest.mark.parametrize("changes", [{"labels": ("no", "yes")}, {"object_tag": "Image"}])
def test_no_version_with_another_question_stands_in(client, settings, changes):
    publish(settings, UID, {})
    LIBRARY._models.clear()
    stand_in(settings, **changes)
    (settings.model_dir / f"project-{UID}" / "versions" / VERSION / "weights.safetensors").write_bytes(b"")
    answer = client.post("/predict", json=predict_body())
    assert answer.status_code == 503
    assert "weights.safetensors is missing or damaged" in answer.json["error"]


def test_a_damaged_store_is_explained(client, settings):
    publish(settings, UID, {})
    (settings.model_dir / f"project-{UID}" / "current.json").write_text("{")
    answer = client.post("/predict", json=predict_body())
    assert answer.status_code == 503
    assert "current.json is damaged" in answer.status
    assert "delete it and run a round" in answer.status
