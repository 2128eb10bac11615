"""`lsal pool` once a pool is connected: what it says, and what it leaves."""

import json
import os
import subprocess
import sys

import pytest
from support.tables import headline_rows, pool_of, project_store, trained, write_table
from typer.testing import CliRunner

from ml_backend.cli.pool import app
from ml_backend.cli.pool_progress import Speed
from ml_backend.cli.versions import app as versions
from ml_backend.pool.document import connect


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "stores"))
    monkeypatch.setenv("TEXT_MODEL", "auto")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def invoke(*arguments, code=0):
        result = CliRunner().invoke(app, [*map(str, arguments), "--project", "7"])
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return invoke


@pytest.fixture
def store(tmp_path):
    found = project_store(tmp_path / "stores")
    connect(found, pool_of(write_table(tmp_path / "rows.parquet", [*headline_rows(30), ("x", "")])))
    return found


def test_a_project_without_a_pool(call, tmp_path):
    assert "knows no project 7: lsal pool connect --project 7" in call("status", code=1)
    project_store(tmp_path / "stores")
    assert "No pool is connected to project 7" in call("status")
    assert call("status", "--json") == "null"
    for command in ("embed", "disconnect", "predict"):
        more = ("--out", tmp_path / "out") if command == "predict" else ()
        assert "Error: No pool is connected to project 7" in call(command, *more, code=1)


def test_from_embedding_to_letting_go(call, store, tmp_path):
    assert "Nothing is embedded yet: lsal pool embed" in call("status")
    told = call("embed")
    assert "31 rows; 30 new vectors of wordllama" in told
    assert "1 rows cannot be read; lsal pool status says why" in told
    told = call("status")
    assert "Embedded by wordllama: 30 rows, 1 that cannot be read" in told
    assert "1: The text is empty; there is nothing to classify" in told
    assert "31 rows; 0 new vectors" in call("embed")
    assert "1 rows cannot be read" in call("embed", "--retry-bad")
    assert "has no version in use yet" in call("predict", "--out", tmp_path / "out", code=1)
    trained(store)
    told = json.loads(call("predict", "--out", tmp_path / "out", "--json"))
    assert (told["rows"], told["left_out"], told["labels"]) == (30, 1, {"flood": 30, "other": 0})
    told = call("predict", "--out", tmp_path / "again", "--version", "1")
    assert "30 rows by sentences-0001-0123abcd" in told
    assert "1 that cannot be read are left out" in told
    assert "probability below 50%: 0 rows" in told
    assert "no better than guessing" not in told
    known = store.manifest("sentences-0001-0123abcd")
    found = {"guessing": True, "sentence": "no better than guessing: so it is"}
    store.update_manifest(known.model_copy(update={"guessing": found}))
    assert "0123abcd is no better than guessing: so it is. flood: 30" in call("predict", "--out", tmp_path / "third")
    taken = CliRunner().invoke(versions, ["export", "--project", "7", "--out", str(tmp_path / "taken")]).output
    assert "0123abcd is no better than guessing: so it is." in " ".join(taken.split())
    assert "is there already" in call("predict", "--out", tmp_path / "out", code=1)
    assert "its vectors are deleted" in call("disconnect")
    assert not (store.folder / "pool").exists()
    assert (tmp_path / "rows.parquet").exists()


def test_progress_tells_rows_a_second_and_the_time_left(capsys):
    now = [0.0]
    with Speed("Embedding", clock=lambda: now[0]) as speed:
        now[0] = 5.0
        speed(500, 3000)
        assert capsys.readouterr().err == ""  # not so soon
        now[0] = 10.0
        speed(1000, 3000)
    assert capsys.readouterr().err == "Embedding: 1,000 of 3,000 rows, 100 rows/s, 20 s left\n"


LEAVES = """
import sys, threading
sys.modules["daft"] = type(sys)("daft")
threading.Thread(target=threading.Event().wait).start()
from ml_backend.cli.app import main
main()
"""
"""A command that leaves a thread behind, as Daft does where nobody answers at the address of a bucket."""


def test_a_command_ends_by_itself_whatever_threads_are_left(tmp_path):
    """The interpreter waits for this thread; those of Daft's have it abort (“Fatal Python error”, exit code 134)."""
    asked = [sys.executable, "-c", LEAVES, "pool", "status", "--project", "7"]
    found = subprocess.run(
        asked, env={**os.environ, "MODEL_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 1
    assert "knows no project 7" in found.stderr
