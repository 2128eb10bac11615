"""What is remembered of rounds: lines of the log, and what the last one saw."""

import threading
from logging import WARNING
from types import SimpleNamespace

import pytest
from support.logs import records_of, said

from ml_backend.config import ProjectSettings
from ml_backend.errors import (
    BUSY,
    LabelStudioUnreachable,
    ProjectBusy,
    StoreError,
)
from ml_backend.rounds.log import Seen, append, last_seen, rounds
from ml_backend.rounds.record import INTERRUPTED, record_round
from ml_backend.rounds.report import Recorder, Report
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.project_store import ProjectStore

NEW = Seen(40, 22, "t2")


def test_the_log_keeps_the_last_lines_and_skips_torn_ones(tmp_path):
    store = ProjectStore(tmp_path, "7.1")
    store.set_extra_params({})
    for number in range(7):
        append(store, {"number": number}, keep=5)
    assert [line["number"] for line in rounds(store)] == [2, 3, 4, 5, 6]
    with (store.folder / "rounds.jsonl").open("a") as file:
        file.write('{"numb')
    assert [line["number"] for line in rounds(store, newest=3)] == [4, 5, 6]


def test_many_writers_lose_no_line(tmp_path):
    store = ProjectStore(tmp_path, "7.1")
    store.set_extra_params({})
    threads = [threading.Thread(target=lambda n=n: append(store, {"n": n})) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line["n"] for line in rounds(store)) == list(range(20))


def test_a_damaged_note_is_none(tmp_path):
    store = ProjectStore(tmp_path, "7.1")
    assert last_seen(store) == Seen()
    store.set_extra_params({})
    for damage in ("", "{", "[1]", '{"other": 1}'):
        (store.folder / "last_round.json").write_text(damage)
        assert last_seen(store) == Seen()


@pytest.fixture
def recorded(tmp_path):
    """Run a replaced round: ``recorded(error, train=..., dry_run=...)``; the store."""
    store = ProjectStore(tmp_path, "7.1")
    store.set_extra_params({})

    def run(error=None, *, train=True, dry_run=False, begins=True, attended=False):
        def run_round(workspace, request, options, *, observer):
            report = Report(
                request.project_id, version="v", labels=3, metrics={"accuracy": 0.5}, warnings=["w"], seen=NEW
            )
            recorder = Recorder(report, observer)
            if begins:
                with recorder.step("read"):
                    pass
            if error:
                raise error
            return report

        workspace, asked = (
            Workspace(SimpleNamespace(), tmp_path, ProjectSettings()),
            RoundRequest(7, "time", train=train),
        )
        record_round(workspace, asked, RunOptions(dry_run=dry_run, attended=attended), run=run_round)

    run.store = store
    return run


def test_a_round_is_remembered(recorded, caplog):
    caplog.set_level("INFO")
    recorded()
    told = said(caplog, "ml_backend.rounds")
    assert "round warns: w" in told
    assert told[-1].endswith(": order unchanged, 1 warning")
    (line,) = rounds(recorded.store)
    assert [step["name"] for step in line["steps"]] == ["read"]
    wanted = {"trigger": "time", "version": "v", "queue": None, "accuracy": 0.5, "labels": 3, "warnings": 1}
    assert {name: line[name] for name in wanted} == wanted
    assert line["error"] is None
    assert line["started"] <= line["ended"]
    assert last_seen(recorded.store) == NEW


def test_a_round_that_found_the_project_busy_leaves_no_line_nor_do_those_of_older_releases(recorded):
    recorded()
    append(recorded.store, {"round": "old", "error": f"{BUSY} (/x/lock); try again when it is done.", "steps": []})
    with pytest.raises(ProjectBusy):
        recorded(ProjectBusy(BUSY))
    (line,) = rounds(recorded.store)
    assert rounds(recorded.store, newest=1) == [line]
    assert line["error"] is None


@pytest.mark.parametrize(
    ("begins", "attended", "lines"), [(True, False, 1), (True, True, 1), (False, False, 1), (False, True, 0)]
)
def test_a_command_that_came_to_nothing_before_its_first_step_is_no_round(recorded, caplog, begins, attended, lines):
    with pytest.raises(LabelStudioUnreachable):
        recorded(LabelStudioUnreachable("gone"), begins=begins, attended=attended)
    assert len(rounds(recorded.store)) == lines
    # A command tells the person itself; without handlers, Python prints warnings and errors beside that.
    loud = [r.levelname for r in caplog.records if r.name.startswith("ml_backend.rounds") and r.levelno >= WARNING]
    assert loud == ([] if attended else ["ERROR"])


def test_a_failed_dry_run_and_an_interrupted_round(recorded):
    with pytest.raises(StoreError):
        recorded(StoreError("no"), dry_run=True)
    assert rounds(recorded.store) == []
    with pytest.raises(KeyboardInterrupt):
        recorded(KeyboardInterrupt())
    (line,) = rounds(recorded.store)
    assert line["error"] == INTERRUPTED


def test_a_failed_round_is_remembered_with_its_steps_but_has_seen_nothing(recorded):
    for error in (StoreError("disk full"), ZeroDivisionError("secret")):
        with pytest.raises(type(error)):
            recorded(error)
    first, second = rounds(recorded.store)
    assert (first["error"], second["error"]) == ("disk full", "unforeseen ZeroDivisionError")
    assert [step["name"] for step in first["steps"]] == ["read"]
    assert last_seen(recorded.store) == Seen()


def test_a_round_that_did_not_train_leaves_the_labels_unseen_and_a_dry_run_leaves_nothing(recorded):
    recorded(train=False)
    assert last_seen(recorded.store) == Seen()
    recorded(dry_run=True)
    assert len(rounds(recorded.store)) == 1


def test_what_fails_beside_a_round_is_a_sentence_once_and_a_traceback_where_nobody_foresaw_it(caplog):
    recorder = Recorder(Report(7, warnings=["Nothing new comes from the pool: it is gone"]))
    for error in (
        StoreError("it is gone"),
        StoreError("the disk is full"),
        ZeroDivisionError("x"),
        ZeroDivisionError("y"),
    ):
        with recorder.sparing_the_round(f"work on {error}", f"Not up to date ({error})"):
            raise error
    assert recorder.report.warnings[1:] == [
        "Not up to date (the disk is full): the disk is full",
        "Not up to date (x): ZeroDivisionError",
        "Not up to date (y): ZeroDivisionError",
    ]
    logged = [(record.getMessage(), bool(record.exc_info)) for record in records_of(caplog, "ml_backend.rounds")]
    assert logged == [(f"project 7: work on {name} failed", True) for name in ("x", "y")]
