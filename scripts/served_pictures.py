"""Pictures of a folder, served by a Label Studio that we start: task data then holds their URLs, not the files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shutil import copyfile
from urllib.parse import quote

from ml_backend.files import atomic
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.simulation.photo_table import FOLDER, TABLE, holds_photographs, read_photographs

SERVED: str = "/data/local-files/?d="
"""How Label Studio's address of such a file begins; its path below the root follows."""


def local_files(root: Path) -> dict[str, str]:
    """Environment of a Label Studio that may serve files below ``root``."""
    return {
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(root.resolve()),
    }


def picture_url(path: str) -> str:
    """What a task's data holds for a file, given its path below the root."""
    return SERVED + quote(path)


def serve_folder(client: LabelStudioClient, project_id: int, folder: Path) -> None:
    """See to it that those who may see the project may see the files below a folder of the root, which is not the root.

    Raises:
        LabelStudioError: Label Studio refused; it serves files only where it was started so (`local_files`).
    """
    wanted, what = str(folder.resolve()), f"Files of project {project_id}"
    there = client.request("GET", "api/storages/localfiles", params={"project": project_id}, what=what).json()
    if not any(storage["path"] == wanted for storage in there):
        storage = {"project": project_id, "title": folder.name, "path": wanted, "use_blob_urls": True}
        client.request("POST", "api/storages/localfiles", body=storage, once=True, what=what)


def bring_photographs(source: Path, target: Path) -> None:
    """Copy the grocery photographs from a folder, where they are there, but for what is copied already.

    Raises:
        DataError: their table is malformed, or names files that are not there.
    """
    if not holds_photographs(source) or (target.exists() and source.samefile(target)):
        return
    paths = [f"{FOLDER}/{photograph.path}" for photograph in read_photographs(source)]
    for name in (*paths, TABLE):  # the table last: where it is, all are
        origin, path = source / name, target / name
        if not (path.is_file() and path.stat().st_size == origin.stat().st_size):
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_with(path, partial(copyfile, origin))
