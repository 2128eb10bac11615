"""Files are written whole or not at all."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from ml_backend.files import (
    TEMPORARY,
    AtomicWriter,
    append_line,
    atomic,
    for_people,
    keep_private,
    private_file,
    private_folder,
    remove_folder,
    size_in_words,
    sync,
)


def disk_full(*_):
    raise OSError(28, "No space left on device")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("write", "content"),
    [
        (lambda path: atomic.write_bytes(path, b"\x00\r\n"), b"\x00\r\n"),
        (lambda path: atomic.write_text(path, "ü\r\n漢"), "ü\r\n漢".encode()),
        (lambda path: atomic.write_json(path, {"a": [1, None]}), b'{"a": [1, null]}'),
        (lambda path: atomic.write_with(path, lambda staged: staged.write_bytes(b"own")), b"own"),
    ],
    ids=["bytes", "text", "json", "with"],
)
def test_a_file_has_what_was_written_and_nothing_lies_beside_it(tmp_path, write, content):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old, and longer than what comes")
    write(path)
    assert path.read_bytes() == content
    assert names(tmp_path) == ["a.txt"]


def modes(root):
    return {path.name: oct(path.stat().st_mode & 0o777) for path in root.rglob("*")}


def test_what_is_kept_is_its_users_alone(tmp_path):
    (tmp_path / "old").write_text("for all to read")
    atomic.write_text(tmp_path / "old", "new")
    atomic.write_folder(tmp_path / "version", lambda folder: (folder / "weights").write_text("new"))
    private_folder(tmp_path / "a" / "b")
    private_folder(tmp_path / "a" / "b")
    private_file(tmp_path / "database")
    append_line(tmp_path / "log", "line")
    assert modes(tmp_path) == {
        **dict.fromkeys(("old", "weights", "database", "log"), "0o600"),
        **dict.fromkeys(("version", "a", "b"), "0o700"),
    }


def test_making_a_file_private_lets_no_lock_on_it_go(tmp_path):
    """POSIX: closing any descriptor of a file ends all locks that the process holds on it."""
    path = tmp_path / "database"
    private_file(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        private_file(path)
        other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('CREATE TABLE a (b)')"
        ended = subprocess.run([sys.executable, "-c", other, str(path)], capture_output=True, text=True, check=False)
        assert "database is locked" in ended.stderr


def test_what_people_asked_for_is_as_open_as_their_other_files(tmp_path):
    (tmp_path / "usual").write_text("x")
    for_people.write_text(tmp_path / "export", "x")
    assert len(set(modes(tmp_path).values())) == 1


def test_what_was_left_open_is_closed(tmp_path):
    (tmp_path / "store").mkdir(mode=0o755)
    (tmp_path / "store" / "tasks.db").write_text("x")
    (tmp_path / "outside").write_text("x")
    (tmp_path / "outside").chmod(0o644)
    (tmp_path / "store" / "tasks.db").chmod(0o664)
    (tmp_path / "store" / "link").symlink_to(tmp_path / "outside")
    keep_private(tmp_path / "store")
    keep_private(tmp_path / "nothing")
    assert modes(tmp_path) == {"store": "0o700", "tasks.db": "0o600", "outside": "0o644", "link": "0o644"}


@pytest.mark.parametrize("writer", [AtomicWriter(sync=disk_full), AtomicWriter(rename=disk_full)])
def test_a_failure_leaves_the_old_file_alone(tmp_path, writer):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left"):
        writer.write_text(path, "new")
    with pytest.raises(OSError, match="No space left"):
        atomic.write_with(path, disk_full)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_comes_as_a_whole_and_never_over_another(tmp_path):
    def fill(folder):
        (folder / "inner").mkdir()
        (folder / "inner" / "a.txt").write_text("a")

    target = tmp_path / "made"
    with pytest.raises(OSError, match="No space left"):
        AtomicWriter(rename=disk_full).write_folder(target, fill)
    assert names(tmp_path) == []
    atomic.write_folder(target, fill)
    assert (target / "inner" / "a.txt").read_text() == "a"
    with pytest.raises(OSError, match="not empty"):
        atomic.write_folder(target, lambda folder: (folder / "b.txt").write_text("b"))
    assert names(target) == ["inner"]


def test_content_reaches_the_disk_before_the_name_and_the_name_after(tmp_path):
    steps = []
    writer = AtomicWriter(
        sync=lambda path: steps.append(("sync", path.name)),
        rename=lambda source, target: (steps.append(("rename", target.name)), source.replace(target)),
    )
    writer.write_text(tmp_path / "a.txt", "a")
    assert steps == [("sync", "a.txt"), ("rename", "a.txt"), ("sync", tmp_path.name)]
    steps.clear()
    writer.write_folder(tmp_path / "b", lambda folder: (folder / "c.txt").write_text("c"))
    assert steps == [("sync", "c.txt"), ("sync", "b"), ("rename", "b"), ("sync", tmp_path.name)]


def test_several_files_are_placed_when_all_are_there(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def fill(folder, *, fault=False):
        (folder / "a.txt").write_text("new")
        if fault:
            raise OSError(28, "No space left on device")
        (folder / "b.txt").write_text("new too")

    with pytest.raises(OSError, match="No space left"):
        atomic.write_together(tmp_path, lambda folder: fill(folder, fault=True))
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"
    steps = []
    AtomicWriter(sync=lambda path: steps.append(path.name)).write_together(tmp_path, fill)
    assert steps == ["a.txt", tmp_path.name, "b.txt", tmp_path.name]
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["new", "new too"]


def test_a_line_is_added_at_the_end(tmp_path):
    path = tmp_path / "log.jsonl"
    append_line(path, "one")
    append_line(path, "zwölf")
    assert path.read_text(encoding="utf-8") == "one\nzwölf\n"


def test_a_folder_goes_as_a_whole(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("b")
    remove_folder(tmp_path / "a")
    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        remove_folder(tmp_path / "a")


def test_a_folder_that_cannot_be_synced_does_not_undo_the_file(tmp_path):
    def files_only(path):
        if path.is_dir():
            raise OSError(22, "Invalid argument")
        sync(path)

    AtomicWriter(sync=files_only).write_text(tmp_path / "a.txt", "a")
    assert (tmp_path / "a.txt").read_text() == "a"


def test_a_missing_folder_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic.write_text(tmp_path / "missing" / "a.txt", "a")


def test_threads_may_write_one_file_at_once(tmp_path):
    path = tmp_path / "a.txt"
    texts = [str(number) * 10_000 for number in range(4)]
    threads = [
        threading.Thread(target=lambda text=text: [atomic.write_text(path, text) for _ in range(5)]) for text in texts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert names(tmp_path) == ["a.txt"]


KILLED = """
import os, signal, sys
from pathlib import Path
from ml_backend.files import AtomicWriter

die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
AtomicWriter(**{sys.argv[2]: die}).write_text(Path(sys.argv[1]), "new")
"""


@pytest.mark.parametrize("at", ["sync", "rename"])
def test_a_killed_writer_leaves_the_old_file_and_a_temporary_one(tmp_path, at):
    path = tmp_path / "a.txt"
    path.write_text("old")
    child = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", KILLED, str(path), at])
    assert child == -signal.SIGKILL
    assert path.read_text() == "old"
    assert [name.startswith(TEMPORARY) for name in names(tmp_path)] == [True, False]


def test_a_size_is_told_in_units_that_tell_something():
    assert [size_in_words(count) for count in (0, 5_400_000, 18_000_000_000)] == ["0.0 MB", "5.4 MB", "18.0 GB"]
