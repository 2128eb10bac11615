"""Model versions and queues of every project, in a folder.

::

    <root>/project-<uid>/
        mirror.sqlite            tasks and annotations as last read (disposable)
        project.json             extra params that Label Studio sent
        current.json             {"version": ..., "queue": ..., "pinned": ...}: what annotators get now
        next.json                the same, while a round publishes: what they get once Label Studio has switched
        queues/<name>.json       published orders
        versions/<name>/         model.json + weights.safetensors [+ evaluation.safetensors] [+ map.safetensors]
        moves.json               what the instant loop moved in the last orders, see `moves`
        instant.safetensors      the graph that it goes by, see `instant_file`
        rounds.jsonl             what rounds did, see `round_log`
        <name>.json              documents of other modules: answers, measures, recheck, what the last round saw

A version appears by one rename of a finished folder and a file by one rename of a finished file: readers see all of
it or nothing, and a process killed half-way leaves only a ``.tmp-`` folder, which nobody reads; the next one written
removes those beside it.

Label Studio and the store cannot switch in one instant. A round therefore announces what is to come before it tells
Label Studio to switch, and one rename afterwards makes it current. Where it is killed in between, Label Studio's served
version tells which of the two holds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import save_file

from ml_backend.errors import StoreError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import Prediction, Queue
from ml_backend.store.evaluation_predictions import (
    EVALUATION_FILE,
    EvaluationPredictions,
    read_evaluation_predictions,
    write_evaluation_predictions,
)
from ml_backend.store.manifest import MANIFEST_FILE, WEIGHTS_FILE, Manifest, read_manifest, read_weights
from ml_backend.store.pool_map import MAP_FILE, PoolMap, read_map, write_map
from ml_backend.store.queue_reorderings import moved
from ml_backend.store.shared_folder import MOVES

TEMPORARY = ".tmp-"
QUESTION = "question.json"
"""The project's title, and the field, kind and labels of its question, as `/setup` or the last round read them."""
EDIT_PATIENCE = 10.0
"""Seconds to wait for somebody else's edit of a document."""
NUMBER = re.compile(r"-(\d{4,})(?:-[0-9a-f]{8})?$")


@dataclass(frozen=True)
class Current:
    """What annotators get now."""

    version: str | None = None
    queue: str | None = None
    pinned: str | None = None
    """The version that somebody asked to keep, whatever is trained meanwhile."""


class Sharing(Protocol):
    """What a store asks of whoever shares it between machines; see `stores.StoreRegistry`."""

    def exclusive(self, folder: Path, timeout: float) -> AbstractContextManager[None]:
        """Keep other machines out, start from the newest state, and share the result."""

    def prepare(self, folder: Path) -> None:
        """Make sure that what belongs to a new order can be shared, before Label Studio hears of it."""

    def commit(self, folder: Path) -> None:
        """Share what was done so far."""

    def editing(self, folder: Path, name: str) -> AbstractContextManager[None]:
        """Keep other machines from changing a loose document, and start from the newest one."""

    def share_loose(self, folder: Path, name: str, text: str) -> None:
        """Tell other machines a document that is written at any time, not only by the holder of the lock."""


class ProjectStore:
    """Versions and queues of one project.

    Args:
        root: folder of all stores.
        uid: the project, as in `records.Project`.
        sharing: shares the folder with other machines; None where it is on this one alone.

    Raises, from every method:
        StoreError: the folder cannot be written, or something in it is missing or damaged.
    """

    def __init__(self, root: Path, uid: str, sharing: Sharing | None = None) -> None:
        if not re.fullmatch(r"[\w.-]+", uid):
            raise StoreError(f"{uid!r} is no project id.")
        self.folder = root / f"project-{uid}"
        self.uid = uid
        self._sharing = sharing

    @property
    def is_shared(self) -> bool:
        """Whether others than this machine may work on it."""
        return self._sharing is not None

    @property
    def task_cache_path(self) -> Path:
        """Where the task mirror lies."""
        return self.folder / "mirror.sqlite"

    def lock(self, *, timeout: float = 0) -> AbstractContextManager[None]:
        """One writer per project across processes, and across machines where they share the store.

        It begins with the newest shared state, and what was changed is shared at its end.

        Args:
            timeout: seconds to wait for another writer.

        Raises:
            StoreError: another one is at work, or sharing failed.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StoreError(f"Cannot write to {self.folder} ({exc}); check MODEL_DIR.") from exc
        return self._locked(timeout)

    @contextmanager
    def _locked(self, timeout: float) -> Iterator[None]:
        shared = self._sharing.exclusive(self.folder, timeout) if self._sharing else nullcontext()
        with _ProjectLock(str(self.folder / "lock"), timeout=timeout), shared:
            yield

    # --- versions ----------------------------------------------------------------------------------------------

    def versions(self) -> list[str]:
        """Names of all versions, oldest first."""
        return sorted(self._names("versions", ""), key=_number)

    def manifest(self, version: str) -> Manifest:
        """Everything about a version but its weights."""
        try:
            return read_manifest(self.folder / "versions" / version)
        except FileNotFoundError as exc:
            known = ", ".join(self.versions()) or "none"
            raise StoreError(f"Version {version!r} is not in {self.folder}; versions there: {known}.") from exc

    def weights(self, version: str) -> dict[str, torch.Tensor]:
        """Weights of a version, on the CPU."""
        return read_weights(self.folder / "versions" / version)

    def evaluation_predictions(self, version: str) -> EvaluationPredictions | None:
        """What a version said about the evaluation tasks; None where it was not measured."""
        return read_evaluation_predictions(self.folder / "versions" / version)

    def version_folder(self, version: str) -> Path:
        """Where the files of a stored version lie."""
        if version not in self.versions():
            known = ", ".join(self.versions()) or "none"
            raise StoreError(f"Version {version!r} is not in {self.folder}; versions there: {known}.")
        return self.folder / "versions" / version

    def update_manifest(self, manifest: Manifest, evaluation_predictions: EvaluationPredictions | None = None) -> None:
        """Replace what is told about a stored version; its weights stay."""
        self.version_folder(manifest.name)  # raises where there is none
        if evaluation_predictions is not None:
            self._add_to_version(
                manifest.name,
                EVALUATION_FILE,
                lambda folder: write_evaluation_predictions(folder, evaluation_predictions),
            )
        self._write_text(f"versions/{manifest.name}/{MANIFEST_FILE}", manifest.model_dump_json(indent=1))

    def map(self, version: str) -> PoolMap | None:
        """The map of the pool as a version saw it; None where none was drawn."""
        return read_map(self.folder / "versions" / version)

    def mapped_versions(self) -> list[str]:
        """Names of the versions that have a map, oldest first."""
        return [name for name in self.versions() if (self.folder / "versions" / name / MAP_FILE).exists()]

    def write_map(self, version: str, drawn: PoolMap) -> None:
        """Add a map to a stored version, or replace its map."""
        self._add_to_version(version, MAP_FILE, lambda folder: write_map(folder, drawn))

    def _add_to_version(self, version: str, name: str, write: Callable[[Path], Path]) -> None:
        folder = self.version_folder(version)
        try:
            with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder.parent) as staging:
                write(Path(staging)).replace(folder / name)
        except (OSError, SafetensorError) as exc:
            raise StoreError(f"Cannot write to {folder} ({exc}); nothing was changed.") from exc

    def next_version_name(self, model: str, fingerprint: str) -> str:
        """``model-0007-hash``: numbers rise over all models of the project, the hash is the fingerprint's."""
        last = max(map(_number, self.versions()), default=0)
        return f"{model}-{last + 1:04d}-{fingerprint[:8]}"

    def write_version(
        self,
        manifest: Manifest,
        weights: Mapping[str, torch.Tensor],
        evaluation_predictions: EvaluationPredictions | None = None,
    ) -> None:
        """Write a version whole or not at all."""
        target = self.folder / "versions" / manifest.name
        try:
            self._sweep(target.parent)
            with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=target.parent) as staging:
                finished = Path(staging) / target.name
                finished.mkdir()
                contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
                save_file(contiguous, finished / WEIGHTS_FILE)
                with (finished / WEIGHTS_FILE).open("rb") as written:
                    os.fsync(written.fileno())  # before the rename: a power cut must not leave a name without content
                if evaluation_predictions is not None:
                    write_evaluation_predictions(finished, evaluation_predictions)
                _write_synced(finished / MANIFEST_FILE, manifest.model_dump_json(indent=1))
                finished.rename(target)
        except (OSError, SafetensorError) as exc:  # safetensors tells a full disk in its own way
            raise StoreError(f"Cannot write version {manifest.name} to {target} ({exc}); nothing was changed.") from exc

    def prune(self, keep: int) -> list[str]:
        """Delete the oldest versions beyond ``keep``, never the current or pinned one; names of the deleted."""
        used = self._used()
        old = [name for name in self.versions()[:-keep] if name not in used]
        for name in old:
            self._remove_version(name)
        return old

    def delete_version(self, version: str) -> None:
        """Delete one version, which must be neither the current nor the pinned one."""
        if version in self._used():
            use = "pinned" if version == self.current().pinned != self.current().version else "in use"
            raise StoreError(f"Version {version} is {use}; roll back to another one, or unpin it, first.")
        self.version_folder(version)
        self._remove_version(version)

    # --- queues and the current choice -------------------------------------------------------------------------

    def next_queue_number(self) -> int:
        """Number of the next queue; never used before in this project."""
        return max(map(_number, self._names("queues", ".json")), default=0) + 1

    def queues(self) -> list[str]:
        """Names of all stored orders, oldest first."""
        return sorted(self._names("queues", ".json"), key=_number)

    def write_queue(self, queue: Queue) -> None:
        """Store an order that is to be published."""
        try:
            self._sweep(self.folder / "queues")
        except OSError as exc:
            raise StoreError(f"Cannot write to {self.folder} ({exc}); check MODEL_DIR and the disk.") from exc
        self._write_json(f"queues/{queue.name}.json", asdict(queue))
        if self._sharing is not None:
            self._sharing.prepare(self.folder)

    def queue(self, name: str) -> Queue:
        """A stored order, as it is served: with what was moved in it since (`moves`)."""
        raw = self._read_json(f"queues/{name}.json")
        if raw is None:
            raise StoreError(f"Queue {name!r} is not in {self.folder}; run a round to publish a new one.")
        try:
            queue = Queue(**{**raw, "predictions": tuple(Prediction(**item) for item in raw["predictions"])})
        except (KeyError, TypeError) as exc:
            raise self._damaged(f"queues/{name}.json", exc) from exc
        try:
            return moved(queue, self.document(MOVES))
        except StoreError:
            return queue  # as it was published

    def current(self) -> Current:
        """What annotators get now; empty before the first round."""
        try:
            return Current(**(self._read_json("current.json") or {}))
        except TypeError as exc:
            raise self._damaged("current.json", exc) from exc

    def set_current(self, current: Current) -> None:
        """Switch version and queue together; the holder of the lock tells other machines at once."""
        self._write_json("current.json", asdict(current))
        if self._sharing is not None:
            self._sharing.commit(self.folder)

    def announce(self, coming: Current) -> None:
        """Note what annotators will get as soon as Label Studio serves its queue; ``settle`` takes it from there."""
        self._write_json("next.json", asdict(coming))

    def announced(self) -> Current | None:
        """What is being published; None where nothing is."""
        raw = self._read_json("next.json")
        try:
            return Current(**raw) if raw is not None else None
        except TypeError as exc:
            raise self._damaged("next.json", exc) from exc

    def served(self, queue: str) -> Current:
        """What annotators get now, given the queue that Label Studio serves: right also in the middle of a switch."""
        coming = self.announced()
        return coming if coming is not None and coming.queue == queue else self.current()

    def settle(self, queue: str) -> None:
        """Make what was announced current if Label Studio serves its ``queue``; else forget it."""
        coming = self.announced()
        if coming is None:
            return
        path = self.folder / "next.json"
        try:
            if coming.queue == queue:
                path.replace(self.folder / "current.json")  # takes no space: it works on a full disk
            else:
                path.unlink()
        except OSError as exc:
            raise StoreError(f"Cannot write to {self.folder} ({exc}); check MODEL_DIR and the disk.") from exc
        if coming.queue == queue and self._sharing is not None:
            self._sharing.commit(self.folder)

    def unpin(self, *, timeout: float = 0) -> str | None:
        """Let rounds choose the version again; the one that was pinned."""
        with self.lock(timeout=timeout):
            current, coming = self.current(), self.announced()
            if coming is not None and coming.pinned:
                self.announce(replace(coming, pinned=None))
            if current.pinned:
                self.set_current(replace(current, pinned=None))
            return current.pinned or (coming.pinned if coming else None)

    def document(self, name: str) -> dict[str, Any]:
        """A JSON document of another module; empty where it was never written."""
        return self._read_json(name) or {}

    def write_document(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace a document, whole or not at all."""
        self._write_json(name, content)

    def edit_document(
        self, name: str, change: Callable[[dict[str, Any]], Mapping[str, Any]], *, timeout: float = EDIT_PATIENCE
    ) -> dict[str, Any]:
        """Change a loose document (`shared_folder.LOOSE`), also while a round runs; of two edits at once none is lost.

        Args:
            name: the document.
            change: its content → its new content.
            timeout: seconds to wait for other edits.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StoreError(f"Cannot write to {self.folder} ({exc}); check MODEL_DIR.") from exc
        others = self._sharing.editing(self.folder, name) if self._sharing else nullcontext()
        with _ProjectLock(str(self.folder / f"{name}.lock"), timeout=timeout), others:
            before = self.document(name)
            content = dict(change(before))
            if content != before:
                text = json.dumps(content)
                if self._sharing is not None:  # first: a reader of this machine may fetch what is shared at any moment
                    self._sharing.share_loose(self.folder, name, text)
                self._write_text(name, text)
            return content

    def note_question(self, question: ChoiceQuestion, title: str | None = None) -> None:
        """For readers of the store, who never ask Label Studio: what the project asks, and its title where known."""
        known = self.document(QUESTION)
        found = {"title": title or known.get("title"), "field": question.field, "object_tag": question.object_tag}
        found["labels"] = list(question.labels)
        if found != known:
            self.write_document(QUESTION, found)

    def extra_params(self) -> dict[str, Any]:
        """The JSON typed into the backend's settings in Label Studio."""
        return (self._read_json("project.json") or {}).get("extra_params") or {}

    def set_extra_params(self, params: Mapping[str, Any]) -> None:
        """Remember the project's extra params."""
        if self.extra_params() != params or not (self.folder / "project.json").exists():
            text = json.dumps({"extra_params": dict(params)})
            if self._sharing is not None:
                self._sharing.share_loose(self.folder, "project.json", text)
            self._write_text("project.json", text)

    def delete(self) -> None:
        """Forget the project."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- files -------------------------------------------------------------------------------------------------

    def _used(self) -> set[str | None]:
        """Versions that must not be deleted."""
        current, coming = self.current(), self.announced()
        return {current.version, current.pinned} | ({coming.version, coming.pinned} if coming else set())

    def _remove_version(self, version: str) -> None:
        folder = self.folder / "versions" / version
        gone = folder.with_name(f"{TEMPORARY}{version}")
        try:
            folder.rename(gone)  # a reader sees the whole version or none, also while it is deleted
        except OSError as exc:
            raise StoreError(f"Cannot delete {folder} ({exc}); nothing was changed.") from exc
        shutil.rmtree(gone, ignore_errors=True)

    def _names(self, folder: str, suffix: str) -> list[str]:
        directory = self.folder / folder
        if not directory.is_dir():
            return []
        names = [entry.name for entry in directory.iterdir() if entry.name.endswith(suffix)]
        return [name.removesuffix(suffix) for name in names if not name.startswith(TEMPORARY)]

    def _sweep(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for left_over in directory.glob(f"{TEMPORARY}*"):
            shutil.rmtree(left_over, ignore_errors=True)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            content = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise self._damaged(name, exc) from exc
        if not isinstance(content, dict):
            raise self._damaged(name, TypeError("not a JSON object"))
        return content

    def _damaged(self, name: str, reason: Exception) -> StoreError:
        return StoreError(f"{self.folder / name} is damaged ({reason}); delete it and run a round.")

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self._write_text(name, json.dumps(content))

    def _write_text(self, name: str, text: str) -> None:
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A folder per writer: two requests may write the same file at once.
            with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=path.parent) as staging:
                finished = Path(staging) / path.name
                _write_synced(finished, text)
                finished.replace(path)
        except OSError as exc:
            raise StoreError(f"Cannot write {path} ({exc}); nothing was changed.") from exc


class _ProjectLock(FileLock):
    """A file lock whose refusal is one of our errors."""

    def __enter__(self) -> _ProjectLock:
        try:
            super().__enter__()
        except Timeout as exc:
            raise StoreError(
                f"Another process is working on this project ({self.lock_file}); try again when it is done."
            ) from exc
        except OSError as exc:
            raise StoreError(f"Cannot write {self.lock_file} ({exc}); check MODEL_DIR and the disk.") from exc
        return self


def open_project(root: Path, project_id: int) -> ProjectStore | None:
    """The newest store of a project known by its id alone; None if there is none."""
    created = [path.name.removeprefix(f"project-{project_id}.") for path in root.glob(f"project-{int(project_id)}.*")]
    newest = max((int(time) for time in created if time.isdecimal()), default=None)
    return None if newest is None else ProjectStore(root, f"{project_id}.{newest}")


def known_stores(root: Path) -> dict[int, ProjectStore]:
    """The newest store of every project that this folder knows, by the project's id."""
    ids = {path.name.removeprefix("project-").split(".")[0] for path in root.glob("project-*.*") if path.is_dir()}
    found = {int(number): open_project(root, int(number)) for number in ids if number.isdecimal()}
    return {project_id: store for project_id, store in sorted(found.items()) if store is not None}


def _number(name: str) -> int:
    match = NUMBER.search(name)
    return int(match.group(1)) if match else 0


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
