"""Rows become tasks once each, whenever a round is killed."""

import pytest

from ml_backend.errors import LabelStudioRejected, LabelStudioUnreachable, StoreError
from ml_backend.files import AtomicWriter
from ml_backend.pool import feeding
from ml_backend.pool.announce import announce, announced
from ml_backend.pool.feeding import Fed, feed, rows_there, surplus
from ml_backend.records import Annotation, Task
from ml_backend.store.documents import POOL_BATCH
from ml_backend.store.project_store import ProjectStore

ROWS = [{"text": f"text {number}", "pool_id": f"row {number}"} for number in range(5)]


class Killed(BaseException):
    """As SIGKILL: nothing of ours runs afterwards."""


class LabelStudio:
    """Takes tasks, until it fails."""

    def __init__(self, *, fails_before=None, fails_after=None, refuses=()):
        self.tasks, self.fails_before, self.fails_after, self.refuses = [], fails_before, fails_after, refuses

    def import_tasks(self, project_id, rows):
        if self.fails_before:
            raise self.fails_before
        if any(row["data"]["pool_id"] in self.refuses for row in rows):
            raise LabelStudioRejected("no")
        first = len(self.tasks) + 1
        self.tasks += [Task(first + place, dict(row["data"])) for place, row in enumerate(rows)]
        if self.fails_after:
            raise self.fails_after
        return list(range(first, len(self.tasks) + 1))

    @property
    def rows(self):
        return [task.data["pool_id"] for task in self.tasks]


@pytest.fixture
def store(tmp_path):
    made = ProjectStore(tmp_path, "1.1")
    with made.lock():
        yield made


def finish(client, store):
    """`feeding.finish`, with Label Studio's tasks as the copy would have them."""
    return feeding.finish(client, 1, store, read=lambda: client.tasks)


def test_rows_become_tasks_and_nothing_stays_announced(store):
    client = LabelStudio()
    assert feed(client, 1, store, ROWS) == Fed({f"row {n}": n + 1 for n in range(5)})
    assert announced(store) == []
    assert finish(client, store) is None


@pytest.mark.parametrize("fault", [{"fails_before": Killed()}, {"fails_before": LabelStudioUnreachable("gone")}])
def test_killed_between_announcement_and_import_nothing_is_lost(store, fault):
    client = LabelStudio(**fault)
    with pytest.raises(type(fault["fails_before"])):
        feed(client, 1, store, ROWS)
    assert announced(store) == ROWS
    client.fails_before = None
    assert finish(client, store) == Fed({f"row {n}": n + 1 for n in range(5)})
    assert client.rows == [row["pool_id"] for row in ROWS]
    assert finish(client, store) is None


@pytest.mark.parametrize("fault", [Killed(), LabelStudioUnreachable("no answer")])
def test_killed_between_import_and_crossing_out_nothing_comes_twice(store, fault):
    client = LabelStudio(fails_after=fault)
    with pytest.raises(type(fault)):
        feed(client, 1, store, ROWS)
    client.fails_after = None
    assert finish(client, store) == Fed()
    assert client.rows == [row["pool_id"] for row in ROWS]
    assert announced(store) == []


def test_of_a_batch_that_came_through_in_part_the_rest_is_sent(store):
    client = LabelStudio()
    announce(store, ROWS)
    client.import_tasks(1, [{"data": row} for row in ROWS[:2]])
    finished = finish(client, store)
    assert finished is not None
    assert sorted(finished.tasks) == ["row 2", "row 3", "row 4"]
    assert sorted(client.rows) == [row["pool_id"] for row in ROWS]


def test_a_row_that_is_refused_is_told_and_holds_up_no_other(store):
    client = LabelStudio(refuses={"row 3"})
    fed = feed(client, 1, store, ROWS)
    assert sorted(fed.tasks) == ["row 0", "row 1", "row 2", "row 4"]
    assert fed.refused == {"row 3": "no"}
    assert announced(store) == []


def test_what_cannot_be_announced_is_not_sent(tmp_path):
    def full(source, target):
        raise OSError("No space left on device")

    store = ProjectStore(tmp_path, "1.1", writer=AtomicWriter(rename=full))
    store.folder.mkdir()
    client = LabelStudio()
    with pytest.raises(StoreError, match="No space left"):
        feed(client, 1, store, ROWS)
    assert client.tasks == []


@pytest.mark.parametrize("content", ["[]", '{"rows": 3}', '{"rows": [{"text": "x"}]}', "{"])
def test_a_damaged_note_is_told(store, content):
    (store.folder / POOL_BATCH).write_text(content)
    with pytest.raises(StoreError, match=r"pool_batch\.json is damaged.*delete it"):
        announced(store)


def test_of_doubles_the_answered_one_stays_else_the_first(store):
    answer = Annotation(1, None, None, ())  # type: ignore[arg-type]
    tasks = [
        Task(1, {"pool_id": "a"}),
        Task(2, {"pool_id": "a"}),
        Task(3, {"pool_id": "b"}),
        Task(4, {"pool_id": "b"}, annotations=(answer,)),
        Task(5, {"pool_id": "c"}),
        Task(6, {"text": "of a file"}),
        Task(7, {"pool_id": 8}),
    ]
    there = rows_there(tasks)
    assert {row: [task.id for task in of] for row, of in there.items()} == {"a": [1, 2], "b": [3, 4], "c": [5]}
    assert surplus(there) == [2, 3]


def test_nothing_to_feed_says_nothing(store):
    assert feed(LabelStudio(), 1, store, []) == Fed()
    assert not (store.folder / POOL_BATCH).exists()
