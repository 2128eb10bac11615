"""What goes wrong around a round: the config changes, tasks or the project go, the disk is full, clocks jump.

Each time the old model and order stand, the error says what happened, and the next round is right.
"""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from support.label_studio import LiveLabelStudio, LiveProject, MakeProject
from support.rounds import round_of

from ml_backend.config import ProjectSettings
from ml_backend.doctor.order_proof import prove_order
from ml_backend.errors import LabelConfigError, LabelStudioNotFound, LabelStudioRejected, StoreError
from ml_backend.label_studio.http import LabelStudioHttp
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.rounds import log as round_log
from ml_backend.rounds import training
from ml_backend.rounds.log import LOG_NAME, last_seen, look, rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.report import Report, StepTime
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import run_round
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import newest_usable

FAST = ProjectSettings(
    strategy="entropy",
    text_model="headlines",
    queue_size=4,
    samples=4,
    hyperparameters={"steps": 10},
    promote_margin=None,
)
WORDS = ("flood in the river", "football match tonight")
LABELS = ("related", "not related", "unclear")
HOURS = timedelta(hours=3)


class During:
    """An observer that does something when a step of the round begins."""

    def __init__(self, step: str, action: Callable[[], object]) -> None:
        self.step, self.actions = step, [action]

    def step_started(self, name: str) -> None:
        if name == self.step and self.actions:
            self.actions.pop()()

    def progress(self, name: str, done: int, total: int) -> None:
        pass

    def step_finished(self, step: StepTime) -> None:
        pass


@dataclass
class Live:
    """A project with its store, after a first round."""

    project: LiveProject
    workspace: Workspace
    first: Report

    @property
    def store(self) -> ProjectStore:
        return ProjectStore(self.workspace.root, self.project.project.uid)

    def round(self, **options: Any) -> Report:
        return round_of(self.workspace, self.project.id, **options)

    def label(self, place: int, label: str = "related") -> int:
        return self.project.client.annotate(self.project.task_ids[place], self.project.answer(label))

    def patch(self, **changes: Any) -> None:
        self.project.client.request("PATCH", f"api/projects/{self.project.id}", body=changes)

    def state(self) -> tuple[Any, ...]:
        """What people get, what the store says of it, and what they wrote."""
        now = self.project.project
        versions = self.project.client.prediction_versions(self.project.id)
        return now.model_version, versions, self.store.current(), now.annotation_count

    def check_right(self, report: Report) -> None:
        """The round's order is served, whole, and the store agrees."""
        assert report.queue
        served, versions, current, _ = self.state()
        size = len(report.queue.predictions)
        assert (served, versions, current.queue) == (report.queue.name, {report.queue.name: size}, report.queue.name)
        assert self.store.announced() is None
        assert self.store.queue(served) == report.queue
        with self.store.lock():
            proof = prove_order(self.project.client, self.project.id, report.queue, self.project.question, count=2)
        assert proof.holds, proof.difference()


@pytest.fixture
def live(make_project: MakeProject, tmp_path: Path) -> Live:
    """Fourteen headlines, six of them labelled, and one round."""
    project = make_project("headlines")
    xml = project.project.label_config.replace("</Choices>", '<Choice value="unclear"/></Choices>')
    project.client.request("PATCH", f"api/projects/{project.id}", body={"label_config": xml})
    rows: list[dict[str, Any]] = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(14)]
    for number, row in enumerate(rows[:6]):
        row["annotations"] = [{"result": project.answer(LABELS[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    workspace = Workspace(project.client, tmp_path, FAST, keep_queues=timedelta(0))
    return Live(project, workspace, run_round(workspace, RoundRequest(project.id)))


# --- the labeling config changes -----------------------------------------------------------------------------------

UNCLEAR = '<Choice value="unclear"/>'
CHANGES = {
    "added": (UNCLEAR + '<Choice value="later"/>', ("related", "not related", "unclear", "later")),
    "renamed": ('<Choice value="doubtful"/>', ("related", "not related", "doubtful")),
    "removed": ("", ("related", "not related")),
}


@pytest.mark.parametrize(("change", "step"), [("added", "fit"), ("renamed", "import"), ("removed", "score")])
def test_the_labeling_config_changes_while_a_round_runs(live: Live, change: str, step: str) -> None:
    text, labels = CHANGES[change]
    live.label(6)
    before = live.state()
    config = live.project.project.label_config.replace(UNCLEAR, text)
    with pytest.raises(LabelConfigError, match=r"changed while the round ran\. The old order stands"):
        live.round(observer=During(step, lambda: live.patch(label_config=config)))
    assert live.state() == before
    report = live.round()
    live.check_right(report)
    assert report.trained
    assert report.version
    assert live.store.manifest(report.version).labels == labels
    assert sum(report.label_counts.values()) == 7


def test_a_change_of_looks_alone_does_not_disturb(live: Live) -> None:
    config = live.project.project.label_config.replace("about a disaster?", "about an accident?")
    assert config != live.project.project.label_config
    live.check_right(live.round(observer=During("score", lambda: live.patch(label_config=config))))


# --- tasks, or the project, are deleted ----------------------------------------------------------------------------


def test_labelled_tasks_are_deleted_while_a_round_runs(live: Live) -> None:
    live.label(6)
    gone = live.project.task_ids[:2]

    def delete() -> None:
        for task_id in gone:
            live.project.client.request("DELETE", f"api/tasks/{task_id}")

    live.check_right(live.round(observer=During("fit", delete)))  # their labels counted once more
    report = live.round()
    live.check_right(report)
    assert (report.trained, sum(report.label_counts.values())) == (True, 5)


def test_all_open_tasks_are_deleted_while_a_round_runs(live: Live) -> None:
    current = live.store.current()

    def delete() -> None:
        for task_id in live.project.task_ids[6:]:
            live.project.client.request("DELETE", f"api/tasks/{task_id}")

    with pytest.raises(LabelStudioRejected):
        live.round(observer=During("import", delete))
    assert live.store.current() == current
    report = live.round()
    assert (report.open_tasks, report.queue) == (0, None)
    assert any("No open tasks" in warning for warning in report.warnings)
    live.project.task_ids.extend(live.project.client.import_tasks(live.project.id, [{"data": {"text": "a storm"}}]))
    live.check_right(live.round())


@pytest.mark.parametrize("step", ["fit", "import", "switch"])
def test_the_project_is_deleted_while_a_round_runs(live: Live, step: str) -> None:
    live.label(6)
    store = live.store

    def delete() -> None:
        live.project.client.request("DELETE", f"api/projects/{live.project.id}")

    with pytest.raises((LabelStudioNotFound, LabelStudioRejected)):
        record_round(live.workspace, RoundRequest(live.project.id, "labels"), observer=During(step, delete))
    assert rounds(store)[-1]["error"]
    with pytest.raises(LabelStudioNotFound, match=f"Project {live.project.id} does not exist"):
        look(live.project.client, live.project.id)
    with store.lock():  # nobody holds it
        assert all(store.weights(version) for version in store.versions())


# --- the disk is full ----------------------------------------------------------------------------------------------


@contextmanager
def no_space() -> Iterator[None]:
    """The system refuses every write beyond a few bytes, to any file of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (48, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def without_space(patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    original = getattr(owner, name)

    def full(*args: Any, **kwargs: Any) -> Any:
        with no_space():
            return original(*args, **kwargs)

    patch.setattr(owner, name, full)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (TaskCache, "refresh"),
        (ProjectStore, "write_version"),
        (ProjectStore, "write_queue"),
        (ProjectStore, "announce"),
    ],
    ids=["mirror", "version", "queue", "announcement"],
)
def test_the_disk_is_full(live: Live, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    live.label(6)
    before, versions = live.state(), live.store.versions()
    with monkeypatch.context() as patch:
        without_space(patch, owner, name)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"File too large|disk I/O error|full"):
                live.round()
    assert live.state() == before
    for version in live.store.versions():
        live.store.weights(version)
    assert live.store.versions()[: len(versions)] == versions
    assert [path for path in live.store.folder.rglob(".tmp-*") if path.is_dir()] == []
    report = live.round()
    live.check_right(report)
    assert sum(report.label_counts.values()) == 7


def test_the_disk_is_full_once_label_studio_has_switched(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows the switch takes no space."""
    with monkeypatch.context() as patch:
        without_space(patch, ProjectStore, "settle")
        live.check_right(live.round())


def test_the_disk_is_full_for_the_rounds_memory(
    live: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    record_round(live.workspace, RoundRequest(live.project.id, "asked"))
    seen, lines = last_seen(live.store), rounds(live.store)
    live.label(6)
    with monkeypatch.context() as patch:
        without_space(patch, round_log, "_note")
        report = record_round(live.workspace, RoundRequest(live.project.id, "asked"))
    live.check_right(report)
    assert "is not remembered" in caplog.text
    assert (last_seen(live.store), rounds(live.store)) == (seen, lines)  # so the next look finds a change
    assert list(live.store.folder.glob(".tmp-*")) == []
    live.check_right(record_round(live.workspace, RoundRequest(live.project.id, "asked")))
    assert len((live.store.folder / LOG_NAME).read_text().splitlines()) == len(lines) + 1


# --- a round is cut off between Label Studio's switch and the store's ------------------------------------------------


def cut_off(live: Live, monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    """A round that dies the moment Label Studio has switched; the queue that is served."""

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ProjectStore, "settle", die)
        with pytest.raises(Killed):
            live.round(**options)
    return live.project.project.model_version


def test_a_round_cut_off_after_the_switch_is_finished_by_the_next(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.label(6)
    served = cut_off(live, monkeypatch)
    assert live.store.current().queue != served
    current = live.store.served(served)
    assert current.queue == served
    assert live.store.queue(served).version == current.version
    report = live.round()
    live.check_right(report)
    assert not [warning for warning in report.warnings if "changed" in warning], report.warnings


def test_a_rollback_cut_off_after_the_switch_stays_pinned(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    first = live.first.version
    live.label(6)
    assert live.round().version != first
    cut_off(live, monkeypatch, pin=first)
    report = live.round()
    assert (report.version, live.store.current().pinned) == (first, first)
    live.check_right(report)


def test_a_failed_tidying_leaves_the_new_order_in_both_places(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise LabelStudioRejected("injected")

    with monkeypatch.context() as patch:
        patch.setattr(live.project.client, "delete_version", refuse)
        report = live.round(overrides={"strategy": "margin"})
    assert any("not tidied: injected" in warning for warning in report.warnings)
    served, versions, current, _ = live.state()
    assert ".margin-" in served
    assert current.queue == served
    assert len(versions) == 2  # the old one is left over
    live.check_right(live.round())


# --- clocks jump -----------------------------------------------------------------------------------------------------


def test_our_clock_jumps(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.workspace = replace(live.workspace, keep_versions=3)
    names = [live.first.version]
    for place, jump in enumerate((-HOURS, 2 * HOURS, -2 * HOURS, timedelta(0)), start=6):
        live.label(place)

        def now(zone: Any = UTC, jump: timedelta = jump) -> datetime:
            return datetime.now(zone) + jump

        with monkeypatch.context() as patch:
            patch.setattr(training, "datetime", SimpleNamespace(now=now))
            report = record_round(live.workspace, RoundRequest(live.project.id, "labels"), now=now)
        names.append(report.version)
        live.check_right(report)
        assert newest_usable(live.store, replace(live.project.question, labels=LABELS), promoted_only=True) == names[-1]
    assert live.store.versions() == names[-3:]
    assert [line["version"] for line in rounds(live.store)] == names[1:]
    made = [live.store.manifest(str(name)).created_at for name in names[-3:]]
    assert made != sorted(made)


def test_label_studios_clock_is_set_back(
    live: Live, label_studio: LiveLabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round ran while it was three hours ahead; edits after that carry earlier times than what that round saw."""
    annotation = live.label(6)
    real = LabelStudioHttp.server_time
    database = label_studio.log.parent / "label_studio.sqlite3"
    with closing(sqlite3.connect(database, timeout=30)) as db:
        for table in ("task", "prediction"):
            column = "project_id = ?"
            db.execute(
                f"UPDATE {table} SET updated_at = datetime(updated_at, '+3 hours') WHERE {column}", [live.project.id]
            )
        db.commit()
    with monkeypatch.context() as patch:
        patch.setattr(LabelStudioHttp, "server_time", staticmethod(lambda response: real(response) + HOURS))
        ahead = live.round()
    live.check_right(ahead)
    assert ahead.label_counts == {"related": 4, "not related": 3}

    body = {"result": live.project.answer("not related")}
    live.project.client.request("PATCH", f"api/annotations/{annotation}/", body=body)
    report = live.round()
    assert report.label_counts == {"related": 3, "not related": 4}
    live.check_right(report)
    live.label(7)
    assert live.round().label_counts == {"related": 4, "not related": 4}


@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["ahead", "back"])
def test_replaced_orders_while_label_studios_clock_jumps(
    live: Live, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    """The one that is served is never deleted; the replaced one too early at worst, and late ones go in time."""
    live.workspace = replace(live.workspace, keep_queues=timedelta(hours=1))
    real = LabelStudioHttp.server_time
    with monkeypatch.context() as patch:
        patch.setattr(LabelStudioHttp, "server_time", staticmethod(lambda response: real(response) + jump))
        report = live.round()
    assert report.queue
    assert live.first.queue
    assert report.replaced == ([live.first.queue.name] if jump > timedelta(0) else [])
    served, versions, current, _ = live.state()
    assert (served, current.queue, versions[served]) == (report.queue.name, report.queue.name, 4)
    live.workspace = replace(live.workspace, keep_queues=timedelta(0))
    live.check_right(live.round())


def test_a_token_that_only_our_clock_takes_for_valid_is_exchanged_again(label_studio: LiveLabelStudio) -> None:
    """Ours was set back, so the client goes on sending what Label Studio takes for expired."""
    account = label_studio.create_user()
    client = label_studio.new_client(label_studio.personal_access_token(account.client))
    assert client.whoami()["id"] == account.id
    claims = {"token_type": "access", "user_id": account.id, "exp": datetime.now(UTC) + HOURS}
    client.auth.access_token = forged = jwt.encode(claims, "x" * 32)
    assert client.whoami()["id"] == account.id
    assert client.auth.access_token != forged
