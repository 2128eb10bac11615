"""``make demo`` as a person runs it: start, look, Ctrl-C; start again with ``--check``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import free_port, port_is_taken
from support.label_studio import PASSWORD, TOKEN, migrated_label_studio
from support.places import REPOSITORY

START_TIMEOUT = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a demo that was stopped right after Label Studio's first start, which all tests share."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(migrated_label_studio(), folder / "servers" / "label-studio")
    known = {"password": PASSWORD, "token": TOKEN, "backend_password": "correct-horse-battery-2"}
    ports = {"label_studio_port": free_port(), "backend_port": free_port()}
    (folder / "servers" / "secrets.json").write_text(json.dumps(known | ports), encoding="utf-8")
    return folder


def as_a_person() -> dict[str, str]:
    """The environment without what the tests set (conftest.py): the models are the default ones."""
    return {name: value for name, value in os.environ.items() if name != "TEXT_MODEL"}


def demo(folder: Path, *options: str) -> list[str]:
    places = ["--folder", str(folder / "servers"), "--data", str(folder / "data"), "--offline"]
    few = ["--digits", "400", "--initial", "50", "--pool", "60"]
    return [sys.executable, str(REPOSITORY / "scripts" / "demo.py"), *places, *few, *options]


def test_ctrl_c_stops_everything_and_the_next_start_resumes(folder: Path) -> None:
    log = folder / "first.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            demo(folder), stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=folder, env=as_a_person()
        )
    end = time.monotonic() + START_TIMEOUT
    while "Ctrl-C stops everything" not in log.read_text(encoding="utf-8"):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < end, log.read_text(encoding="utf-8")
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(180) == 130
    text = log.read_text(encoding="utf-8")
    known = json.loads((folder / "servers" / "secrets.json").read_text(encoding="utf-8"))
    assert known["password"] in text
    assert known["token"] not in text
    assert oct((folder / "servers" / "secrets.json").stat().st_mode & 0o777) == "0o600"
    assert not port_is_taken(known["label_studio_port"])
    assert not port_is_taken(known["backend_port"])
    projects = re.findall(r"/projects/(\d+)/data", text)
    assert len(projects) == 2

    again = subprocess.run(
        demo(folder, "--check"),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        cwd=folder,
        env=as_a_person(),
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("served as published") == 2
    assert "Check passed" in again.stderr
    assert "fit" not in again.stderr, "no new label, so nothing is trained again"
    stores = [path.name for path in (folder / "servers" / "versions").glob("project-*")]
    assert len(stores) == 2, "the same two projects"
    assert all(name.startswith("project-") for name in stores)
