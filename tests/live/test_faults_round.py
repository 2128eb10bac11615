"""What goes wrong around a round: the config changes, tasks or the project go, the disk is full.

Each time the old model and order stand, the error says what happened, and the next round is right.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.disturbed_rounds import During, Live

from ml_backend.errors import LabelConfigError, LabelStudioNotFound, LabelStudioRejected, StoreError
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.rounds import log as round_log
from ml_backend.rounds.log import LOG_NAME, last_seen, look, rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import ProjectStore

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
