"""Lock files, too, are for the backend's user alone: others could hold them, and stop all rounds."""

from __future__ import annotations

from pathlib import Path

from ml_backend.store.project_store import ProjectStore


def test_lock_files_are_private(tmp_path: Path) -> None:
    store = ProjectStore(tmp_path, "7.1")
    with store.lock():
        found = [path for path in tmp_path.rglob("*") if path.name.endswith("lock")]
        assert found
        assert [oct(path.stat().st_mode & 0o777) for path in found] == ["0o600"] * len(found)
