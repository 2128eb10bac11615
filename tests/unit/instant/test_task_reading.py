"""The thread that keeps the copy of the tasks up to date: when it reads, and what it leaves alone."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from bench.dashboard_store import fill_cache
from support.logs import said
from support.waiting import PATIENCE

from ml_backend.config import Settings
from ml_backend.errors import LabelStudioNotFound, LabelStudioUnreachable
from ml_backend.instant import task_reading
from ml_backend.instant.task_reading import LOOKS, TaskReading
from ml_backend.label_studio.task_cache import TaskCache, _set
from ml_backend.store.documents import MOVES
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_reorderings import paused


class LabelStudio:
    """Counts what is asked of it."""

    def __init__(self, annotations=0, faults=0, fault=LabelStudioUnreachable):
        self.annotations, self.faults, self.fault, self.reads = annotations, faults, fault, 0

    def newest_change(self, project_id):
        self.reads += 1
        if self.faults:
            self.faults -= 1
            raise self.fault("down")
        return "2026-01-01T00:00:00.000000Z"

    def changed_tasks(self, project_id, since, left_out):
        return iter(())

    def project(self, project_id):
        return SimpleNamespace(task_count=2, annotation_count=self.annotations)

    def close(self):
        pass


@pytest.fixture
def store(tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    store = ProjectStore(tmp_path, "7.1")
    fill_cache(store, {1: {"text": "x"}, 2: {"text": "y"}}, {})
    with TaskCache(store.task_cache_path)._open() as db:
        _set(db, cursor="2025-01-01T00:00:00.000000Z")
    return store


def reading(store, label_studio, **options):
    told = []
    made = TaskReading(
        Settings(model_dir=store.folder.parent),
        client=lambda: label_studio,
        told=lambda project_id, found: told.append((project_id, found.uid)),
        **options,
    )
    return made, told


def test_a_change_is_read_and_told(store):
    label_studio = LabelStudio()
    made, told = reading(store, label_studio)
    assert made._read(7) is None
    assert told == [(7, "7.1")]


def test_while_the_order_is_proved_nothing_is_read(store):
    label_studio, now = LabelStudio(), [100.0]
    made, told = reading(store, label_studio, now=lambda: now[0], quiet=1.5)
    store.edit_document(MOVES, lambda content: paused(content, 103.0))
    assert made._read(7) == 1.5  # looks again then
    assert (label_studio.reads, told) == (0, [])
    now[0] = 103.0
    assert made._read(7) is None
    assert told


def test_what_does_not_show_yet_is_looked_for_a_few_times(store):
    made, told = reading(store, LabelStudio(annotations=1))
    waits = [made._read(7) for _ in range(LOOKS)]
    assert waits == [task_reading.AGAIN] * (LOOKS - 1) + [None]
    assert len(told) == LOOKS  # what did show counts


def test_unknown_projects_and_a_first_reading_are_left_alone(store):
    label_studio = LabelStudio()
    made, _ = reading(store, label_studio)
    assert made._read(8) is None
    store.task_cache_path.unlink()
    assert made._read(7) is None
    assert label_studio.reads == 0


def test_a_failure_is_told_once_and_tried_again(store, caplog):
    label_studio = LabelStudio(faults=2)
    made, told = reading(store, label_studio)
    for _ in range(2):
        made._guarded(7)
        assert 7 in made._due
        made._due.clear()
    assert said(caplog, "ml_backend.instant") == ["project 7: counting fails: down"]
    made._guarded(7)
    assert told
    assert made._due == {}


def test_after_a_long_outage_it_looks_as_often_as_ever(store):
    label_studio, now = LabelStudio(annotations=1, faults=7), [0.0]
    made, _ = reading(store, label_studio, clock=lambda: now[0])
    rests = []
    for _ in range(7 + LOOKS):
        made._guarded(7)
        rests.append(made._due.pop(7, now[0]) - now[0])
        now[0] += 1000
    assert rests == [10, 20, 40, 80, 160, 300, 300] + [task_reading.AGAIN] * (LOOKS - 1) + [0]


def test_a_deleted_project_is_left_alone(store, caplog):
    made, _ = reading(store, LabelStudio(faults=1, fault=LabelStudioNotFound))
    made._guarded(7)
    assert (made._due, said(caplog, "ml_backend.instant")) == ({}, [])


def test_a_large_project_is_read_less_often(store):
    clock = iter([0.0, 4.0, 5.0])
    made, _ = reading(store, LabelStudio(), clock=lambda: next(clock))
    made._guarded(7)  # took four seconds
    made.changed(7)
    assert made._due[7] == 4.0 + 16.0


def test_the_thread_reads_what_it_hears_of_and_ends(store):
    done = threading.Event()
    made = TaskReading(
        Settings(model_dir=store.folder.parent), client=LabelStudio, quiet=0, told=lambda project_id, found: done.set()
    )
    before = set(threading.enumerate())  # those of other tests may end at any moment
    made.start()  # all known projects are read first
    try:
        assert done.wait(PATIENCE)
        done.clear()
        made.changed(7)
        assert done.wait(PATIENCE)
    finally:
        made.stop()
    assert set(threading.enumerate()) <= before
