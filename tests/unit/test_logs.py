"""Logs: their two formats, what a round's records carry, and what none of them shows."""

import json
import logging
import threading

import pytest

from ml_backend.config import Settings, load_settings
from ml_backend.errors import ActiveLearningError, ConfigurationError, StoreError
from ml_backend.label_studio.connection import make_client
from ml_backend.logs import HANDLER, configure_logging, in_round, library_level, note_version
from ml_backend.rounds import run as loop
from ml_backend.rounds.log import rounds
from ml_backend.rounds.project_round import run_project_round
from ml_backend.server import create_app
from ml_backend.store.registry import stores_of

TOKEN = "0123456789abcdef0123456789abcdef01234567"
log = logging.getLogger("ml_backend.somewhere")


@pytest.fixture
def logs(monkeypatch, capsys):
    """Configure logging: ``logs(**settings)``; then ``logs.text()`` is what was written since."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in ("", "ml_backend", "waitress", "rq")}

    def configure(**settings):
        configure_logging(load_settings(**settings))

    configure.text = lambda: capsys.readouterr().err
    yield configure
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    for handler in [one for one in root.handlers if one.get_name() == HANDLER]:
        root.removeHandler(handler)


def test_json_lines_of_a_round_carry_its_fields(logs):
    logs(log_format="json")
    log.info("before")
    with in_round(7, "abc"):
        log.info("first %d", 1)
        note_version("m-0001-0123abcd")
        log.warning("second")
    log.info("after")
    before, first, second, after = map(json.loads, logs.text().splitlines())
    assert before.keys() == after.keys() == {"time", "level", "logger", "message"}
    wanted = {"level": "INFO", "logger": "ml_backend.somewhere", "message": "first 1", "project": 7, "round": "abc"}
    assert first == wanted | {"version": None, "time": first["time"]}
    assert (second["version"], second["level"]) == ("m-0001-0123abcd", "WARNING")


def test_text_lines_of_a_round_end_with_its_fields(logs):
    logs()
    with in_round(7, "abc"):
        log.info("hello")
    note_version("outside of a round: nothing happens")
    log.info("hello")
    inside, outside = logs.text().splitlines()
    assert inside.endswith("INFO ml_backend.somewhere: hello [project=7 round=abc version=None]")
    assert outside.endswith("INFO ml_backend.somewhere: hello")


def test_rounds_of_other_threads_are_theirs(logs):
    logs(log_format="json")
    with in_round(7, "abc"):
        thread = threading.Thread(target=lambda: log.info("elsewhere"))
        thread.start()
        thread.join()
    assert "project" not in json.loads(logs.text())


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_line_shows_a_secret_of_the_settings(logs, log_format):
    secrets = {
        "label_studio_api_key": TOKEN,
        "basic_auth_pass": 'pass "word"',
        "redis_url": "redis://:redis%2Fword@h:6379/0",
        "store_url": "sftp://me:storeword@h/x",
    }
    logs(log_format=log_format, **secrets)
    log.error("all of them: %s", secrets, extra={"token": TOKEN})
    log.error('%s pass "word" redis/word', TOKEN)
    text = logs.text()
    assert text.count("***") >= 6
    for secret in (TOKEN, "word", "storeword", "redis%2Fword"):
        assert secret not in text.replace("all of them", "")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_error_that_is_none_of_ours_shows_where_it_was_raised_but_not_its_text(logs, log_format):
    logs(log_format=log_format)
    try:
        try:
            raise ValueError("flood in the river")
        except ValueError as exc:
            raise StoreError("The store failed.") from exc
    except StoreError as exc:
        record = log.makeRecord(log.name, logging.ERROR, __file__, 1, "failed", (), (type(exc), exc, exc.__traceback__))
        record.exc_text = "flood in the river, as another handler wrote it down"
        log.handle(record)
    text = logs.text()
    assert "flood" not in text.replace('raise ValueError("flood', "").replace('raise ValueError(\\"flood', "")
    assert text.index("ValueError") < text.index("StoreError: The store failed.")
    assert "test_logs.py" in text


def test_libraries_speak_from_warning_on_except_a_few(logs):
    logs(log_level="DEBUG")
    for name in ("httpx", "urllib3", "ml_backend.x", "rq.worker", "waitress"):
        for level in ("debug", "info", "warning"):
            getattr(logging.getLogger(name), level)(level)
    shown = [line.split()[2:5] for line in logs.text().splitlines()]
    counts = {name: sum(part[1] == f"{name}:" for part in shown) for name in ("httpx", "urllib3", "ml_backend.x")}
    assert counts == {"httpx": 1, "urllib3": 1, "ml_backend.x": 3}
    assert sum(part[1] == "rq.worker:" for part in shown) == 2
    assert library_level(load_settings(log_level="ERROR")) == "ERROR"


def test_configuring_again_replaces_what_was_configured(logs):
    logs()
    logs(log_format="json", log_level="WARNING")
    log.info("not shown")
    log.warning("once")
    assert json.loads(logs.text())["message"] == "once"


def test_an_unknown_format_is_refused(logs):
    with pytest.raises(ConfigurationError, match="LOG_FORMAT"):
        logs(log_format="xml")


# --- a real round ------------------------------------------------------------------------------------------------

CONTENT = "zebra crossing flooded"
PIXEL = "iVBORw0KGgoAAAANSUhEUg"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_of_secrets_or_tasks_is_logged_by_rounds_and_requests(
    label_studio, make_project, tmp_path, logs, log_format, monkeypatch
):
    """At DEBUG: a round of texts, one of images, one that fails by an error with a task in it, and hostile requests."""
    texts = make_project("headlines", [{"text": f"{CONTENT} {number}"} for number in range(6)] + [{"text": ""}])
    images = make_project("mnist", 3)
    broken = {"image": f"data:image/png;base64,{PIXEL}=broken"}
    images.client.import_tasks(images.id, [{"data": broken}])
    for task_id, label in zip(texts.task_ids[:4], ("related", "not related") * 2, strict=True):
        texts.client.annotate(task_id, texts.answer(label))
    given = {
        "label_studio_url": label_studio.url,
        "label_studio_api_key": label_studio.token,
        "model_dir": tmp_path,
        "basic_auth_user": "studio",
        "basic_auth_pass": "right-password",
    }
    logs(log_format=log_format, log_level="DEBUG", **given)
    settings = load_settings(**given)
    web, auth = create_app(settings).test_client(), ("studio", "right-password")
    stores_of(settings).get(texts.project.uid).set_extra_params({"queue_size": 5, "hyperparameters": {"steps": 5}})
    done = run_project_round(texts.id, settings=settings)
    run_project_round(images.id, settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "publish", lambda *_, **__: int(CONTENT))
        with pytest.raises(ActiveLearningError, match=r"The round failed \(ValueError\); the log says where"):
            run_project_round(texts.id, settings=settings)
    for project in (texts, images):
        tasks = [{"id": 1, "data": broken | {"text": CONTENT}}, {"id": 2, "data": {"text": "", "image": ""}}]
        body = {"project": project.project.uid, "label_config": project.project.label_config, "tasks": tasks}
        assert web.post("/predict", json=body, auth=auth).status_code == 200
        assert web.post("/predict", json=body, auth=("studio", "wrong-password")).status_code == 401
        setup = {"project": project.project.uid, "schema": CONTENT, "access_token": label_studio.token}
        assert web.post("/setup", json=setup, auth=auth).status_code == 422
    make_client(settings).close()
    make_client.cache_clear()

    text = logs.text()
    secrets = (label_studio.token, "right-password", "wrong-password")
    for hidden in (*secrets, CONTENT, "zebra", PIXEL, "data:image"):
        assert hidden not in text, [line for line in text.splitlines() if hidden in line][:3]
    assert f"{texts.id}" in text
    assert "cannot be read and is served last" in text
    ids = {line["round"] for project in (texts, images) for line in rounds(stores_of(settings).open(project.id))}
    assert len(ids) == 3
    if log_format == "text":
        assert all(f"round={round_id}" in text for round_id in ids)
        assert f"version={done['version']}]" in text
        return
    lines = [json.loads(line) for line in text.splitlines()]
    made = [line for line in lines if "round" in line]
    assert {line["round"] for line in made} == ids
    assert all(line.keys() >= {"project", "version", "round", "level", "message"} for line in made)
    fit = next(line for line in made if line["message"].startswith("step store"))
    assert (fit["project"], fit["version"]) == (texts.id, done["version"])
    failed = next(line for line in made if line["level"] == "ERROR")
    assert failed["exception"].endswith("ValueError")
    assert failed["message"] == "round failed; the old order stands: unforeseen ValueError"
