"""Logs: their two formats, what a round's records carry, and what none of them shows."""

import json
import logging
import threading

import pytest
from waitress.task import ThreadedTaskDispatcher

from ml_backend.config import load_settings
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.logs import in_round, library_level, note_version

TOKEN = "0123456789abcdef0123456789abcdef01234567"
log = logging.getLogger("ml_backend.somewhere")


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


def test_a_page_that_asks_for_two_things_at_once_is_no_news(logs):
    logs(log_level="DEBUG")
    queue = ThreadedTaskDispatcher()  # of no thread, so that all of them are busy
    queue.add_task("a request")
    assert logs.text() == ""
    queue.queue_logger.error("it still has an error")
    assert "it still has an error" in logs.text()


def test_configuring_again_replaces_what_was_configured(logs):
    logs()
    logs(log_format="json", log_level="WARNING")
    log.info("not shown")
    log.warning("once")
    assert json.loads(logs.text())["message"] == "once"


def test_an_unknown_format_is_refused(logs):
    with pytest.raises(ConfigurationError, match="LOG_FORMAT"):
        logs(log_format="xml")
