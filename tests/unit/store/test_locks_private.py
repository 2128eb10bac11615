"""Lock files, too, are for the backend's user alone: others could hold them, and stop all rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_backend.store.project_store import ProjectStore


def test_lock_files_are_private(tmp_path: Path) -> None:
    store = ProjectStore(tmp_path, "7.1")
    found: dict[str, str] = {}

    def look(content: dict[str, Any]) -> dict[str, Any]:
        found.update({path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*lock")})
        return content

    with store.lock():
        store.edit_document("document.json", look)
    assert found == dict.fromkeys(("lock", "document.json.lock"), "0o600")
