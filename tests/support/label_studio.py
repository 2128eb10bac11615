"""A real Label Studio for tests: its accounts, its projects."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from filelock import FileLock
from processes import start_label_studio
from support.places import REPOSITORY

from ml_backend.importing.image_files import png_data_uri
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.records import Project

# ---


PASSWORD = "correct-horse-battery-1"

TOKEN = "c0ffee" * 6 + "2468"

OLDER = ("1.20", "1.22")
"""Versions of Label Studio that `make test` installs beside our own, the oldest first."""
WANTED = "ACTIVE_LEARNING_TEST_LABEL_STUDIO"
"""Names one of them, for all tests; without it they have our own."""


@dataclass(frozen=True)
class Account:
    """A user of the test's Label Studio."""

    id: int
    email: str
    password: str
    token: str = field(repr=False)
    client: LabelStudioClient


@dataclass
class LiveLabelStudio:
    """A real Label Studio, its first account, and helpers for more."""

    url: str
    email: str
    password: str
    token: str = field(repr=False)
    seconds_to_start: float
    log: Path
    local_files: Path
    """The folder that it serves local files from."""
    _clients: list[LabelStudioClient] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @cached_property
    def client(self) -> LabelStudioClient:
        """The first account's client."""
        return self.new_client(self.token)

    def new_client(
        self, token: str, *, url: str | None = None, timeout: float = 60.0, **options: Any
    ) -> LabelStudioClient:
        """A client that is closed at the end of the session (else its sockets leak a ResourceWarning)."""
        client = LabelStudioClient(url or self.url, token, timeout=timeout, **options)
        self._clients.append(client)
        return client

    def create_user(self, email: str | None = None, password: str = PASSWORD) -> Account:
        """A new account in the same organization, made as people make theirs: on the sign-up page of an invitation."""
        email = email or f"annotator-{next(self._numbers)}@example.org"
        page = self.url + self.client.request("GET", "api/invite").json()["invite_url"]
        with requests.Session() as session:
            session.trust_env = False
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', session.get(page, timeout=60).text)
            assert found, "the sign-up page has no form"
            form = {"email": email, "password": password, "csrfmiddlewaretoken": found[1]}
            answer = session.post(page, data=form, headers={"Referer": page}, timeout=60)
            assert answer.status_code == 200, answer.text[:500]
            assert "/user/signup" not in answer.url, "the sign-up page refused the account"
            token = session.get(f"{self.url}/api/current-user/token", timeout=60).json()["token"]
            who = session.get(f"{self.url}/api/current-user/whoami", timeout=60).json()
        assert who["email"] == email
        return Account(who["id"], email, password, token, self.new_client(token))

    def personal_access_token(self, client: LabelStudioClient) -> str:
        """A new personal access token; Label Studio gives each account only one, so take a fresh account for it."""
        token: str = client.request("POST", "api/token/", body={}).json()["token"]
        return token

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            client.close()


@dataclass(frozen=True)
class LiveProject:
    """A project in the test's Label Studio."""

    id: int
    question: ChoiceQuestion
    task_ids: list[int]
    client: LabelStudioClient

    @property
    def project(self) -> Project:
        """The project as it is now."""
        return self.client.project(self.id)

    def annotations(self) -> list[int]:
        """The ids of all annotations, in the order of their tasks."""
        rows = [row for page in self.client.all_tasks(self.id) for row in page]
        return [each["id"] for row in sorted(rows, key=lambda row: row["id"]) for each in row["annotations"]]

    def answer(self, label: str) -> list[dict[str, Any]]:
        """The result of an annotation that gives this label."""
        value = {"choices": [label]}
        return [
            {"from_name": self.question.control, "to_name": self.question.object, "type": "choices", "value": value}
        ]


MakeProject = Callable[..., LiveProject]


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLabelStudio]:
    """A real Label Studio on SQLite, started once, when the first test asks for it."""
    with live_label_studio(tmp_path_factory) as live:
        yield live


def python_of(version: str | None) -> Path | None:
    """The Python of an older Label Studio; None for that of our own."""
    if version is None:
        return None
    python = REPOSITORY / f".venv-label-studio-{version}" / "bin" / "python"
    if not python.exists():
        reason = f"Label Studio {version} is not installed: make test installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return python


def kept(version: str | None) -> Path:
    """Where the data folder of a version is kept that has started once."""
    python = python_of(version)
    environment = python.parents[1] if python else Path(sys.prefix)
    return environment / f"migrated-{version or metadata.version('label-studio')}"


def made_before(version: str | None) -> Path | None:
    """The data folder of the newest version before, of those that have started; None: there is none."""
    older = OLDER[: OLDER.index(version)] if version else OLDER
    found = [REPOSITORY / f".venv-label-studio-{each}" / f"migrated-{each}" for each in older]
    return next((folder for folder in reversed(found) if folder.exists()), None)


def migrated_label_studio(version: str | None = None) -> Path:
    """The data folder of a Label Studio that has started once, to be copied.

    Its migrations take half a minute, a start without them five seconds: one worker makes it for all, and it is kept in
    the environment. A version begins with the folder of the version before, where that has been made, as people do who
    upgrade: that takes a third of the time. Our own on an empty database: test_postgres.py.
    """
    python, made = python_of(version), kept(version)
    with FileLock(f"{made}.lock"):
        if not made.exists():
            staging = made.with_name("migrating")
            shutil.rmtree(staging, ignore_errors=True)  # of a test run that was killed
            if before := made_before(version):
                shutil.copytree(before, staging, ignore=shutil.ignore_patterns("*.log"))  # its log is of another
            start_label_studio(staging, password=PASSWORD, token=TOKEN, python=python).stop()
            staging.rename(made)
    return made


@contextmanager
def live_label_studio(
    folders: pytest.TempPathFactory, extra_env: Mapping[str, str] | None = None, version: str | None = None
) -> Iterator[LiveLabelStudio]:
    """A real Label Studio, of a version of `OLDER`, or our own."""
    version = version or os.environ.get(WANTED) or None
    files, home = folders.mktemp("local-files"), folders.mktemp("label-studio")
    shutil.copytree(migrated_label_studio(version), home, dirs_exist_ok=True)
    local_files = {
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(files),
    }
    env = local_files | dict(extra_env or {})
    server = start_label_studio(home, password=PASSWORD, token=TOKEN, extra_env=env, python=python_of(version))
    live = LiveLabelStudio(
        server.url, server.username, server.password, server.token, server.seconds_to_start, server.process.log, files
    )
    try:
        yield live
    finally:
        live.close()
        server.stop()


@pytest.fixture(scope="session")
def make_project(label_studio: LiveLabelStudio) -> MakeProject:
    """Make projects: ``make_project("headlines" | "mnist", tasks=3)``, with a list of task data, or of a config."""
    return project_maker(label_studio)


def project_maker(label_studio: LiveLabelStudio) -> MakeProject:
    """What makes projects in this Label Studio."""
    numbers = itertools.count(1)

    def make(
        kind: str = "headlines",
        tasks: int | Sequence[Mapping[str, Any]] = 0,
        *,
        title: str | None = None,
        client: LabelStudioClient | None = None,
        config: str | None = None,
        labels: Sequence[str | None] = (),
    ) -> LiveProject:
        """``labels``: answers of the first tasks, None for none; imported with them, which is one request for all."""
        client = client or label_studio.client
        xml = config or (REPOSITORY / "label_configs" / f"{kind}.xml").read_text(encoding="utf-8")
        project = client.create_project(title or f"{kind} {next(numbers)}", xml)
        rows = [{"data": dict(data)} for data in (example_data(kind, tasks) if isinstance(tasks, int) else tasks)]
        made = LiveProject(project.id, parse_label_config(xml, project=project.id), [], client)
        for row, label in zip(rows, labels, strict=False):
            if label is not None:
                row["annotations"] = [{"result": made.answer(label)}]
        made.task_ids.extend(client.import_tasks(project.id, rows) if rows else [])
        return made

    return make


def example_data(kind: str, count: int) -> list[dict[str, Any]]:
    """Task data of so many different headlines or images."""
    if kind == "headlines":
        return [{"text": f"headline number {number}"} for number in range(count)]
    noise = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return [{"image": png_data_uri(image)} for image in noise]
