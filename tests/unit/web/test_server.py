"""The connector's contract: every route that Label Studio calls, with right, wrong and hostile requests."""

import base64
import threading
import time

import pytest
from support.served import UID, VERSION, publish

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError, LabelStudioUnreachable
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app
from ml_backend.store.project_store import ProjectStore

CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
UNSUPPORTED = CONFIG.replace("<Text", "<Audio")
TOKEN = "0123456789abcdef0123456789abcdef01234567"
TASKS = [{"id": 1, "project": 7, "data": {"text": "flood"}}, {"id": 2, "project": 7, "data": {"text": "football"}}]


@pytest.fixture
def client(settings):
    return create_app(settings).test_client()


@pytest.fixture
def trainer(settings):
    """A client of a backend with a token, and the projects that it ran rounds for."""
    ran = []

    def run(request):
        ran.append(request.project_id)
        return {"queue": "q"}

    worker = LocalRoundQueue(run)
    app = create_app(settings.model_copy(update={"label_studio_api_key": "x"}), rounds=worker)
    return app.test_client(), ran, worker


def setup_body(**changes):
    return {"project": UID, "schema": CONFIG, "hostname": "http://x", "access_token": TOKEN} | changes


def predict_body(**changes):
    return {"project": UID, "label_config": CONFIG, "tasks": TASKS, "params": {}} | changes


# --- health and who may ask --------------------------------------------------------------------------------------

ROUTES = [
    ("POST", "/setup"),
    ("POST", "/predict"),
    ("POST", "/webhook"),
    ("GET", "/status"),
    ("GET", "/metrics"),
    ("GET", "/versions"),
    ("POST", "/versions"),
    ("POST", "/validate"),
    ("POST", "/job_status"),
    ("GET", "/is_training"),
    ("POST", "/delete"),
    ("POST", "/duplicate_model"),
]
DASHBOARD = [
    ("GET", "/dashboard/"),
    ("GET", "/dashboard/7/overview"),
    ("GET", "/dashboard/_dash-layout"),
    ("GET", "/dashboard/assets/dashboard.css"),
    ("GET", "/dashboard/api/projects"),
    ("GET", "/dashboard/7/media/1"),
    ("GET", "/dashboard/7/versions/m-0001.zip"),
    ("POST", "/dashboard/_dash-update-component"),
]


@pytest.mark.parametrize("path", ["/", "/health"])
def test_health(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json["status"]) == (200, "UP")


def locked(settings):
    return create_app(Settings(model_dir=settings.model_dir, basic_auth_user="u", basic_auth_pass="päss")).test_client()


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_table_of_routes_is_complete(client):
    rules = [r for r in client.application.url_map.iter_rules() if not r.rule.startswith("/dashboard/")]
    served = {(method, rule.rule) for rule in rules for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert served == {*ROUTES, ("GET", "/"), ("GET", "/health")}


@pytest.mark.parametrize(("method", "path"), ROUTES + DASHBOARD)
def test_all_but_health_asks_for_basic_auth_where_it_is_set(settings, method, path):
    client = locked(settings)
    refusals = [{}, basic("u", "wrong"), basic("x", "päss"), basic("", ""), {"Authorization": "Token " + TOKEN}]
    for headers in refusals:
        answer = client.open(path, method=method, headers=headers, json={})
        assert answer.status_code == 401, headers
        assert "Wrong or missing basic auth" in answer.status
    with client.open(path, method=method, headers=basic("u", "päss"), json={}) as answer:
        assert answer.status_code != 401


def test_health_is_open(settings):
    assert locked(settings).get("/health").status_code == 200


@pytest.mark.parametrize("half", [{"basic_auth_user": "u"}, {"basic_auth_pass": "p"}])
def test_half_of_basic_auth_is_a_mistake(tmp_path, half):
    with pytest.raises(ConfigurationError, match="both BASIC_AUTH_USER and BASIC_AUTH_PASS"):
        create_app(Settings(model_dir=tmp_path, **half))


# --- setup -------------------------------------------------------------------------------------------------------


def test_setup_before_a_first_round(client, settings):
    answer = client.post("/setup", json=setup_body())
    assert (answer.status_code, answer.json) == (200, {"model_version": "untrained"})
    assert TOKEN not in answer.text
    assert not any(TOKEN.encode() in p.read_bytes() for p in settings.model_dir.rglob("*") if p.is_file())


def test_setup_reports_the_served_version(client, settings):
    name = publish(settings, UID, {})
    assert client.post("/setup", json=setup_body()).json == {"model_version": name}


def without_tags(text):
    return text.replace("<Audio>", "Audio").replace("<Image>", "Image").replace("<Text>", "Text")


def test_an_unsupported_config_is_explained_in_the_status_line(client):
    answer = client.post("/setup", json=setup_body(schema=UNSUPPORTED))
    assert answer.status == (
        "422 The labeling config of project 7 asks about Audio; supported: Image or Text. "
        "Change it in Settings > Labeling Interface."
    ), "no tags: Label Studio shows it as HTML"
    assert "asks about <Audio>; supported: <Image> or <Text>" in answer.json["error"]


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


# --- predict -----------------------------------------------------------------------------------------------------


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


# --- training ----------------------------------------------------------------------------------------------------


@pytest.fixture
def automatic(settings):
    """A client of a backend whose scheduler is not started, the scheduler, and the gate that its rounds wait at."""
    gate = threading.Event()
    settings = settings.model_copy(update={"label_studio_api_key": "x"})
    worker = LocalRoundQueue(lambda _: {"queue": gate.wait(30)})
    scheduler = Scheduler(settings, worker)
    ProjectStore(settings.model_dir, UID).set_extra_params({})
    yield create_app(settings, rounds=worker, scheduler=scheduler).test_client(), scheduler, gate
    gate.set()


def waiting(client):
    return client.get("/status").json["projects"]["7"]


@pytest.mark.parametrize(
    ("event", "labels"),
    [
        ({"action": "ANNOTATION_CREATED", "annotation": {"id": 1}}, 1),
        ({"action": "ANNOTATION_UPDATED", "annotation": {"id": 1}}, 1),
        ({"action": "ANNOTATIONS_CREATED", "annotation": [{"id": 1}, {"id": 2}]}, 2),
        ({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}, {"id": 2}, {"id": 3}]}, 3),
        ({"action": "TASKS_CREATED", "tasks": [{"id": 1}]}, 0),
        ({"action": "TASKS_DELETED", "tasks": [{"id": 1}]}, 0),
    ],
)
def test_events_that_change_labels_or_tasks_are_noted(automatic, event, labels):
    client, _, _ = automatic
    answer = client.post("/webhook", json=event | {"project": {"id": 7}})
    assert (answer.status_code, answer.json) == (200, {"accepted": True})
    seen = waiting(client)
    assert seen["labels_waiting"] == labels
    assert seen["next_round_in"]["labels"] == 10 - labels
    assert not seen["running"]


@pytest.mark.parametrize(
    "action", ["PROJECT_UPDATED", "PROJECT_CREATED", "LABEL_LINK_CREATED", "nonsense", None, 7, []]
)
def test_other_events_are_received_and_start_nothing(automatic, action):
    client, _, _ = automatic
    answer = client.post("/webhook", json={"action": action, "project": {"id": 7}})
    assert (answer.status_code, answer.json) == (200, {"accepted": False})
    assert waiting(client)["next_round_in"] is None


@pytest.mark.parametrize("project", [None, {}, 7, {"id": "7"}, {"id": -1}, {"id": True}])
def test_an_event_without_a_project_starts_nothing(automatic, project):
    client, _, _ = automatic
    answer = client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": project})
    assert (answer.status_code, answer.json) == (200, {"accepted": False})


def test_without_a_scheduler_events_start_nothing(trainer):
    client, ran, _ = trainer
    answer = client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 7}})
    assert (answer.status_code, answer.json) == (200, {"accepted": False})
    assert client.get("/status").json == {"projects": {}, "polling": None}
    assert ran == []


def test_webhooks_are_answered_at_once_while_a_round_runs(automatic):
    """The round holds its thread, not the answers."""
    client, _, gate = automatic
    client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 7}})
    event = {"action": "ANNOTATION_CREATED", "project": {"id": 7}, "annotation": {"id": 1, "result": ["x" * 20_000]}}
    for _ in range(200):
        assert client.post("/webhook", json=event).status_code == 200
    assert not gate.is_set()
    seen = waiting(client)
    assert (seen["running"], seen["labels_waiting"]) == (True, 200)


def test_status(automatic, settings):
    client, _, _ = automatic
    name = publish(settings, UID, {1: 0.5})
    ProjectStore(settings.model_dir, "8.1").set_extra_params({})
    answer = client.get("/status").json
    assert answer["polling"] == {"every_seconds": 60, "error": None}
    assert set(answer["projects"]) == {"7", "8"}
    assert answer["projects"]["7"] == {
        "instant": None,
        "version": VERSION,
        "queue": name,
        "measures": {},
        "running": False,
        "last_round": None,
        "labels_waiting": 0,
        "next_round_in": None,
        "failures": 0,
        "last_error": None,
        "deleted": False,
    }


def test_a_damaged_store_does_not_hide_the_other_projects(automatic, settings):
    client, _, _ = automatic
    publish(settings, "8.1", {1: 0.5})
    (settings.model_dir / f"project-{UID}" / "current.json").write_text("{")
    projects = client.get("/status").json["projects"]
    assert "current.json is damaged" in projects["7"]["last_error"]
    assert projects["8"]["version"] == VERSION


def test_start_training_runs_a_round_and_the_job_can_be_followed(trainer):
    client, ran, worker = trainer
    answer = client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 7, "title": "x"}})
    assert answer.status_code == 201
    job = answer.json["job"]
    end = time.monotonic() + 5
    while worker.running(7):
        assert time.monotonic() < end
        time.sleep(0.005)
    assert ran == [7]
    status = client.post("/job_status", json={"job": job}).json
    assert (status["job_status"], status["error"], status["result"]) == ("finished", None, {"queue": "q"})
    assert status["created_at"]
    assert status["ended_at"]
    assert client.get("/is_training?project=7.1700000000").json == {"is_training": False}


@pytest.mark.parametrize("project", [None, {}, 7, {"id": None}, {"id": "abc"}, {"id": [7]}, {"id": -1}])
def test_a_training_request_without_a_project(trainer, project):
    answer = trainer[0].post("/webhook", json={"action": "START_TRAINING", "project": project})
    assert answer.status_code == 400
    assert "names no project" in answer.status


def test_training_needs_a_token(client):
    answer = client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 7}})
    assert answer.status_code == 400
    assert "set LABEL_STUDIO_API_KEY" in answer.status


def test_is_training(settings):
    gate = threading.Event()
    worker = LocalRoundQueue(lambda _: {"done": gate.wait(5)})
    client = create_app(settings, rounds=worker).test_client()
    worker.request(RoundRequest(7))
    assert client.get("/is_training?project=7.17").json == {"is_training": True}
    assert client.get("/is_training?project=8").json == {"is_training": False}
    for odd in ("", "?project=", "?project=x", "?project=²"):
        assert client.get("/is_training" + odd).json == {"is_training": False}
    gate.set()


def test_an_unknown_job_is_gone(client):
    for job in ("nonsense", None, 7):
        assert client.post("/job_status", json={"job": job}).status_code == 410


# --- the small routes --------------------------------------------------------------------------------------------


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


def test_deleting_the_connection_keeps_the_versions(client, settings):
    publish(settings, UID, {})
    assert client.post("/delete", json={"project": UID}).status_code == 200
    assert client.get(f"/versions?project={UID}").json == {"versions": [VERSION]}


def test_a_copied_project_starts_without_a_model(client, settings):
    publish(settings, UID, {})
    answer = client.post("/duplicate_model", json={"project_src": UID, "project_dst": "8.1"})
    assert (answer.status_code, answer.json["model_version"]) == (200, "untrained")
    assert client.get("/versions?project=8.1").json == {"versions": []}


# --- requests that are none --------------------------------------------------------------------------------------


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


def test_an_error_that_nobody_foresaw_shows_nothing_of_itself(client, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise RuntimeError(f"secret {TOKEN}")

    monkeypatch.setattr("ml_backend.predictor.Predictor.predict", fail)
    answer = client.post("/predict", json=predict_body())
    assert answer.status == "500 The backend failed; its log says why."
    assert TOKEN not in answer.text
    assert "Traceback" not in answer.text
    assert "RuntimeError" in caplog.text  # the log has it


def test_our_errors_become_one_line_of_latin_1(client, monkeypatch):
    def fail(*args, **kwargs):
        raise LabelStudioUnreachable("first line\r\nX-Injected: yes\n洪水 → über")

    monkeypatch.setattr("ml_backend.predictor.Predictor.predict", fail)
    answer = client.post("/predict", json=predict_body())
    assert answer.status == "503 first line X-Injected: yes ?? ? über"
    assert "X-Injected" not in answer.headers
    assert answer.json["error"].endswith("洪水 → über")


def test_a_damaged_store_is_explained(client, settings):
    publish(settings, UID, {})
    (settings.model_dir / f"project-{UID}" / "current.json").write_text("{")
    answer = client.post("/predict", json=predict_body())
    assert answer.status_code == 503
    assert "current.json is damaged" in answer.status
    assert "delete it and run a round" in answer.status
