"""The model versions and queues of every project, each in a folder.

::

    <root>/project-<uid>/
        mirror.sqlite            tasks and annotations as last read (disposable)
        project.json             extra params that Label Studio sent
        current.json             {"version": ..., "queue": ..., "pinned": ...}: what annotators get now
        next.json                the same while a round publishes: what they get once Label Studio has switched
        queues/<name>.json       published orders
        heads/<queue>.safetensors   the models for the other questions, for the served queue
        versions/<name>/         model.json + weights.safetensors [+ evaluation.safetensors] [+ map.safetensors]
        moves.json               what the instant loop moved in the latest orders, see `queue_reorderings`
        instant.safetensors      the graph that the instant loop uses, see `instant_graph`
        rounds.jsonl             what rounds did, see `rounds.log`
        <name>.json              documents of other modules: answers, measures, recheck, what the last round saw

A version or file is finished under another name and then renamed, so that readers see all of it or nothing. A process
that is killed half-way leaves only a ``.tmp-`` folder, which nobody reads, and which the next writer removes.

Label Studio and the store cannot switch at the same instant. A round therefore announces what is to come before it
tells Label Studio to switch, and makes it current afterwards with one rename. If the round is killed in between, the
version that Label Studio serves tells which of the two is valid.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from ml_backend.errors import StoreError
from ml_backend.store.documents import QUESTION
from ml_backend.store.stored_documents import EDIT_PATIENCE, StoredDocuments
from ml_backend.store.stored_queues import Current, StoredQueues
from ml_backend.store.stored_versions import StoredVersions

__all__ = ["EDIT_PATIENCE", "QUESTION", "Current", "ProjectStore", "known_stores", "open_project"]


class ProjectStore(StoredVersions, StoredQueues, StoredDocuments):
    """Versions, queues and documents of one project.

    Raises, from every method:
        StoreError: the folder cannot be written, or something in it is missing or damaged.
    """

    def prune(self, keep: int) -> list[str]:
        """Delete the oldest versions beyond ``keep``, but never the current or pinned one.

        Returns the deleted names.
        """
        used = self._used()
        old = [name for name in self.versions()[:-keep] if name not in used]
        for name in old:
            self._remove_version(name)
        return old

    def delete_version(self, version: str) -> None:
        """Delete a version, which must be neither the current nor the pinned one."""
        if version in self._used():
            use = "pinned" if version == self.current().pinned != self.current().version else "in use"
            raise StoreError(f"Version {version} is {use}; roll back to another one, or unpin it, first.")
        self.version_folder(version)
        self._remove_version(version)

    def unpin(self) -> str | None:
        """Let rounds choose the version again. Returns the version that was pinned."""
        with self.lock():
            current, coming = self.current(), self.announced()
            if coming is not None and coming.pinned:
                self.announce(replace(coming, pinned=None))
            if current.pinned:
                self.set_current(replace(current, pinned=None))
            return current.pinned or (coming.pinned if coming else None)

    def delete(self) -> None:
        """Delete everything about the project."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _used(self) -> set[str | None]:
        """Versions that must not be deleted."""
        current, coming = self.current(), self.announced()
        return {current.version, current.pinned} | ({coming.version, coming.pinned} if coming else set())


def open_project(root: Path, project_id: int) -> ProjectStore | None:
    """The newest store of a project of which only the id is known; None if there is none."""
    created = [path.name.removeprefix(f"project-{project_id}.") for path in root.glob(f"project-{int(project_id)}.*")]
    newest = max((int(time) for time in created if time.isdecimal()), default=None)
    return None if newest is None else ProjectStore(root, f"{project_id}.{newest}")


def known_stores(root: Path) -> dict[int, ProjectStore]:
    """The newest store of every project in this folder, by the project's id."""
    ids = {path.name.removeprefix("project-").split(".")[0] for path in root.glob("project-*.*") if path.is_dir()}
    found = {int(number): open_project(root, int(number)) for number in ids if number.isdecimal()}
    return {project_id: store for project_id, store in sorted(found.items()) if store is not None}
