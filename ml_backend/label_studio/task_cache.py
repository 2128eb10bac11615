"""A local copy of a project's tasks and annotations, so that a round reads only what changed.

The copy can be deleted at any time: Label Studio stays the only source of truth, and the next refresh reads everything
again. It is one SQLite file, and each refresh is one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_backend.encoders.pictures import thumbnail
from ml_backend.errors import BadItemError, StoreError
from ml_backend.files import private_file, private_folder
from ml_backend.label_studio.client import LabelStudioClient, task_from_row
from ml_backend.label_studio.file_paths import file_path
from ml_backend.label_studio.present import Present
from ml_backend.records import EVALUATION_FIELD, EVALUATION_SPLIT, Project, Task

SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, annotations INTEGER NOT NULL, row TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS media (url TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS thumbnails (url TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS texts (url TEXT PRIMARY KEY, content BLOB NOT NULL);
"""
"""``media`` holds whole files from versions up to 0.1; each is replaced by a thumbnail when it is read the next
time."""
UPSERT = "INSERT OR REPLACE INTO tasks (id, annotations, row) VALUES (?, ?, ?)"
MEDIA_CHECKED = 1
"""``user_version`` of files without media from forbidden paths (see `_forget_foreign_media`)."""
NOTHING_READ = (0, 0)
MOST_PARAMETERS = 500
"""Parameters in one query; SQLite's own limit depends on how it was built."""
Listener = Callable[[int], None]
"""Called with the number of rows read so far."""


def _ignore(rows: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Refresh:
    """What one refresh did."""

    project: Project
    read: int
    """Number of rows read."""
    full: bool
    """Whether everything was read again."""
    left_out: tuple[int, ...] = ()
    """Tasks that cannot be read, because Label Studio fails on them or because they are too large."""
    is_whole: bool = True
    """Whether the copy now agrees with Label Studio's counts."""


class TaskCache:
    """Tasks of one project, by id. Not shared between threads: open one wherever it is needed.

    Raises, from every method:
        StoreError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            private_folder(self._path.parent)
            private_file(self._path)
            # isolation_level=None: transactions begin and end explicitly, so that a refresh is exactly one.
            with closing(sqlite3.connect(self._path, timeout=60, isolation_level=None)) as db:
                db.executescript(SCHEMA)
                _forget_foreign_media(db)
                yield db
        except (sqlite3.Error, OSError) as exc:
            raise StoreError(
                f"The copy of the tasks, {self._path}, cannot be used ({exc}); check the disk. It can be deleted: "
                "the next round makes it anew."
            ) from exc

    def refresh(
        self,
        client: LabelStudioClient,
        project_id: int,
        *,
        present: Present | None = None,
        listener: Listener = _ignore,
        changes_only: bool = False,
    ) -> Refresh:
        """Bring the copy up to date: read the changes, or everything the first time and when the counts disagree.

        Reading the changes finds new and edited tasks and written or deleted annotations, but not deleted tasks. Those
        show in the project's own counts, which are compared after every read. If a full read leaves a difference
        (because one of Label Studio's counters is wrong), it is remembered, and does not cause a full read again.

        ``present`` saves reads that the caller has just made; changes since then show as a difference as well. With
        ``changes_only`` nothing is ever read in full: that is left to a round, because it takes long.
        """
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                refresh = self._refresh(db, client, project_id, present, listener, changes_only=changes_only)
            except BaseException:
                if db.in_transaction:  # when the disk is full, SQLite has already rolled back
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            return refresh

    def _refresh(
        self,
        db: sqlite3.Connection,
        client: LabelStudioClient,
        project_id: int,
        present: Present | None,
        listener: Listener,
        *,
        changes_only: bool,
    ) -> Refresh:
        read: set[int] = set()
        left_out: list[int] = list(_get(db, "left_out", ()))
        cursor = _get(db, "cursor")
        if cursor is not None:
            for known in (present, None):  # twice, because an annotation may be written between the read and the count
                start = known.since if known else client.newest_change(project_id)
                if known and start < cursor:  # somebody else has refreshed the copy since
                    continue
                if start < cursor:  # Label Studio's clock was set back, so changes seem older than the cursor
                    break
                read |= _apply(db, client.changed_tasks(project_id, cursor, left_out.append), listener)
                cursor = start
                project = known.project if known else client.project(project_id)
                if _gap(db, project) == _get(db, "gap", NOTHING_READ):
                    _set(db, cursor=cursor, left_out=_unread(db, left_out))
                    return Refresh(project, len(read), False, _get(db, "left_out"))
        if changes_only:
            return Refresh(client.project(project_id), len(read), False, is_whole=False)
        start = present.since if present else client.newest_change(project_id)
        db.execute("DELETE FROM tasks")
        left_out.clear()
        read = _apply(db, client.all_tasks(project_id, left_out.append), listener)
        project = client.project(project_id)
        _set(db, cursor=start, gap=_gap(db, project), left_out=_unread(db, left_out))
        return Refresh(project, len(read), True, _get(db, "left_out"))

    def tasks(self) -> Iterator[Task]:
        """All tasks, by ascending id."""
        with self._open() as db:
            for (row,) in db.execute("SELECT row FROM tasks ORDER BY id"):
                yield task_from_row(json.loads(row))

    def annotated(self) -> Iterator[Task]:
        """Tasks that somebody annotated or skipped, by ascending id."""
        with self._open() as db:
            for (row,) in db.execute("SELECT row FROM tasks WHERE annotations > 0 ORDER BY id"):
                yield task_from_row(json.loads(row))

    def untouched(self) -> tuple[int, int]:
        """How many tasks nobody annotated or skipped: those still to be asked, and those held out for measuring."""
        with self._open() as db:
            (count,) = db.execute("SELECT COUNT(*) FROM tasks WHERE annotations = 0").fetchone()
            # Inside a text the quotes would be escaped, so this finds only fields of this name (also in nested
            # objects).
            mark = json.dumps({EVALUATION_FIELD: EVALUATION_SPLIT})[1:-1]
            marked = db.execute("SELECT row FROM tasks WHERE annotations = 0 AND instr(row, ?)", (mark,))
            held_out = sum(task_from_row(json.loads(row)).is_evaluation for (row,) in marked)
            return int(count) - held_out, held_out

    def missing(self, task_ids: Iterable[int]) -> int:
        """How many of these tasks do not exist (any more)."""
        wanted = sorted(set(task_ids))
        with self._open() as db:
            return len(wanted) - sum(1 for _ in _among(db, "id", wanted))

    def find(self, task_ids: Iterable[int]) -> Iterator[Task]:
        """Those of these tasks that are known, by ascending id."""
        wanted = sorted(set(task_ids))
        with self._open() as db:
            for row in _among(db, "row", wanted):
                yield task_from_row(json.loads(row))

    def cached_media(self, url: str) -> bytes | None:
        """A whole file that an older version fetched from ``url``."""
        with self._open() as db:
            found = db.execute("SELECT content FROM media WHERE url = ?", (url,)).fetchone()
        return found[0] if found else None

    def keep_thumbnail(self, url: str, content: bytes) -> None:
        """Keep a small version of a picture, for pages. Anything that is not a picture is ignored.

        The models' features are kept elsewhere (`encoders.feature_store`). Whole files are not kept, because those of a
        large pool would fill the disk.
        """
        try:
            small = thumbnail(content)
        except BadItemError:
            return
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO thumbnails (url, content) VALUES (?, ?)", (url, small))
            db.execute("DELETE FROM media WHERE url = ?", (url,))

    def cached_text(self, url: str) -> bytes | None:
        """The text file at ``url``, for tasks that name their texts by URL; None if no round has read it."""
        with self._open() as db:
            found = db.execute("SELECT content FROM texts WHERE url = ?", (url,)).fetchone()
        return bytes(found[0]) if found else None

    def keep_text(self, url: str, content: bytes) -> None:
        """Keep the file of a text."""
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO texts (url, content) VALUES (?, ?)", (url, content))

    def picture(self, url: str) -> bytes | None:
        """The picture at ``url`` as pages show it; None if no round has read it."""
        with self._open() as db:
            for table in ("thumbnails", "media"):
                found = db.execute(f"SELECT content FROM {table} WHERE url = ?", (url,)).fetchone()  # noqa: S608
                if found:
                    return bytes(found[0])
        return None

    def shrink(self) -> None:
        """Free the disk space of the whole files, once all of them are thumbnails."""
        with self._open() as db:
            empty = db.execute("SELECT COUNT(*) FROM media").fetchone()[0] == 0
            free, pages = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
            if empty and free > pages // 2:
                db.execute("VACUUM")


def _forget_foreign_media(db: sqlite3.Connection) -> None:
    """Delete media that 0.1 fetched with the token from paths of Label Studio that hold no files of tasks.

    Done once.
    """
    if db.execute("PRAGMA user_version").fetchone()[0] >= MEDIA_CHECKED:
        return
    for (url,) in db.execute("SELECT url FROM media").fetchall():
        if "/api/" in url or (url.startswith("/") and file_path(url) is None):
            db.execute("DELETE FROM media WHERE url = ?", (url,))
    db.execute(f"PRAGMA user_version = {MEDIA_CHECKED}")


def _apply(db: sqlite3.Connection, pages: Iterable[list[dict[str, Any]]], listener: Listener) -> set[int]:
    """Write pages of rows; returns the ids of the tasks."""
    read: set[int] = set()
    for page in pages:
        db.executemany(UPSERT, [(r["id"], len(r.get("annotations") or ()), json.dumps(r)) for r in page])
        read.update(int(row["id"]) for row in page)
        listener(len(read))
    return read


def _among(db: sqlite3.Connection, column: str, task_ids: Sequence[int]) -> Iterator[Any]:
    """One column of those of these tasks that are known, by ascending id."""
    for start in range(0, len(task_ids), MOST_PARAMETERS):
        part = task_ids[start : start + MOST_PARAMETERS]
        marks = ",".join("?" * len(part))
        yield from (v for (v,) in db.execute(f"SELECT {column} FROM tasks WHERE id IN ({marks}) ORDER BY id", part))  # noqa: S608


def _unread(db: sqlite3.Connection, left_out: Iterable[int]) -> list[int]:
    """Those of the left-out tasks that have still not been read."""
    ids = sorted(set(left_out))
    return [i for i in ids if db.execute("SELECT 1 FROM tasks WHERE id = ?", (i,)).fetchone() is None]


def _gap(db: sqlite3.Connection, project: Project) -> tuple[int, int]:
    tasks, annotations = db.execute("SELECT COUNT(*), COALESCE(SUM(annotations), 0) FROM tasks").fetchone()
    return tasks - project.task_count, annotations - project.annotation_count


def _get(db: sqlite3.Connection, key: str, default: Any = None) -> Any:
    found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if not found:
        return default
    value = json.loads(found[0])
    return tuple(value) if isinstance(value, list) else value


def _set(db: sqlite3.Connection, **values: Any) -> None:
    rows = [(key, json.dumps(value)) for key, value in values.items()]
    db.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", rows)
