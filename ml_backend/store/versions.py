"""Which stored version to serve, to go back to, or to export."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

from ml_backend.errors import StoreError
from ml_backend.files import Staged, for_people
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.models.base import Model
from ml_backend.store.library import build_model
from ml_backend.store.manifest import MANIFEST_FILE, WEIGHTS_FILE, Manifest, read_manifest, read_weights
from ml_backend.store.project_store import QUESTION, ProjectStore

log = logging.getLogger(__name__)
LIBRARIES: Final = ("label-studio-active-learning", "torch", "numpy")
"""What a version depends on besides labels and settings."""
EXAMPLE: Final = Path(__file__).with_name("example.py")
"""Copied next to an exported model."""


def library_versions() -> dict[str, str]:
    """Installed versions of this package and of the libraries that affect its results."""
    return {name: installed(name) for name in LIBRARIES}


def answers(manifest: Manifest, question: ChoiceQuestion) -> bool:
    """Whether a version answers the project's present question."""
    asked = question.object_tag, question.labels, question.multiple
    alike = (manifest.object_tag, manifest.labels, manifest.multiple) == asked
    return alike and manifest.control in ("", question.control) and _learnt_from_these(manifest, question)


def _learnt_from_these(manifest: Manifest, question: ChoiceQuestion) -> bool:
    """Whether a version's vectors were made from the same parts as the question's; others may have the same length."""
    told = manifest.settings
    if not question.parts or not told:  # an older release stored no settings
        return True
    if question.has_numbers:
        return bool(told.get("embedding_field") == question.parts[0].field)
    names = [name.strip() for name in str(told.get("objects") or "").split(",") if name.strip()]
    parts = [part.name for part in question.parts]
    return not told.get("embedding_field") and (names == parts or (not names and len(parts) == 1))


def version_with(store: ProjectStore, fingerprint: str) -> str | None:
    """The version that was trained on this data with these settings, if there is one."""
    for name in reversed(store.versions()):
        try:
            if name.endswith(f"-{fingerprint[:8]}") and store.manifest(name).fingerprint == fingerprint:
                return name
        except StoreError as exc:  # it will be trained again
            log.warning("project %s: version %s is passed over: %s", store.uid, name, exc)
    return None


def newest_usable(store: ProjectStore, question: ChoiceQuestion, *, promoted_only: bool) -> str | None:
    """The newest version that answers the question. One that was not promoted only if there is no other."""
    fallback = None
    for name in reversed(store.versions()):
        if problem := store.problem(name):  # an older intact one can be served
            log.warning("project %s: version %s is passed over: %s", store.uid, name, problem)
            continue
        manifest = store.manifest(name)
        if answers(manifest, question):
            if manifest.promoted or not promoted_only:
                return name
            fallback = fallback or name
    return fallback


def stand_ins(
    store: ProjectStore,
    version: str,
    object_tag: str,
    labels: Sequence[str],
    control: str = "",
    *,
    multiple: bool = False,
) -> list[str]:
    """Versions that can answer in place of a damaged one: the newest first, those that were not promoted last."""
    names = [name for name in reversed(store.versions()) if name != version and store.problem(name) is None]
    manifests = [store.manifest(name) for name in names]
    asked = object_tag, tuple(labels), multiple
    alike = [m for m in manifests if m.control == control or "" in (m.control, control)]
    fit = [m for m in alike if (m.object_tag, m.labels, m.multiple) == asked]
    return [m.name for m in sorted(fit, key=lambda m: not m.promoted)]


def serving_problem(store: ProjectStore, version: str) -> str | None:
    """A sentence saying that a served version is damaged and which one replaces it; None if it is intact.

    The question is the one noted in the store.
    """
    problem = store.problem(version)
    if problem is None:
        return None
    asked = store.document(QUESTION)
    wanted = str(asked.get("object_tag")), asked.get("labels") or (), str(asked.get("control") or "")
    others = stand_ins(store, version, *wanted, multiple=bool(asked.get("multiple")))
    return f"{problem} {others[0]} answers in its place." if others else f"{problem} No other version can answer."


def better_than(store: ProjectStore, manifest: Manifest, question: ChoiceQuestion) -> str | None:
    """The version to serve in place of one that was not promoted; None if it is gone or answers another question."""
    name = (manifest.comparison or {}).get("against")
    return name if name in store.versions() and answers(store.manifest(name), question) else None


def find_version(store: ProjectStore, wanted: str) -> str:
    """The name of the version called ``wanted``, which is a full name or just a number.

    Raises:
        StoreError: there is none.
    """
    for name in store.versions():
        if wanted in (name, name.split("-")[-2].lstrip("0")):
            return name
    known = ", ".join(store.versions()) or "none"
    raise StoreError(f"No version {wanted!r} in {store.folder}; versions there: {known}.")


def version_before(store: ProjectStore) -> str:
    """The version that was in use before the current one.

    If it is no longer stored, the newest older version that was promoted and has the same labels.

    Raises:
        StoreError: there is none.
    """
    current = store.current().version
    if current is None:
        raise StoreError("No model is in use yet: there is nothing to go back from.")
    now = store.manifest(current)
    if now.parent in store.versions() and _alike(store.manifest(str(now.parent)), now):
        return str(now.parent)
    manifests = map(store.manifest, reversed(store.versions()))
    older = (m.name for m in manifests if m.promoted and m.number < now.number and _alike(m, now))
    before = next(older, None)
    if before is None:
        raise StoreError(f"No version before {current} is stored; name the one you want (lsal versions list).")
    return before


def _alike(one: Manifest, other: Manifest) -> bool:
    """Whether both give the same kind of answer with the same labels."""
    return (one.labels, one.multiple) == (other.labels, other.multiple)


def best_version(manifests: Sequence[Manifest], measure: str) -> str:
    """The version with the highest ``measure`` on the evaluation tasks; among equals the newest.

    Only versions with the same labels as the newest are compared: figures about other choices say nothing.

    Raises:
        StoreError: no version was measured.
    """
    measured = [m for m in manifests if m.metrics and m.metrics.get(measure) is not None]
    rivals = [(float((m.metrics or {})[measure]), m.number, m.name) for m in measured if _alike(m, manifests[-1])]
    if not rivals:
        raise StoreError(
            f"No version has {measure} on evaluation tasks: label some (Label Studio's tab “Evaluation tasks”) and run "
            "lsal sync --train, or give a version's number in place of --best (lsal versions list)."
        )
    return max(rivals)[-1]


def size(store: ProjectStore, version: str) -> int:
    """Size of a version's files in bytes."""
    return sum(path.stat().st_size for path in store.version_folder(version).iterdir() if path.is_file())


def export_version(store: ProjectStore, version: str, out: Path) -> Path:
    """Copy a version, with an example that uses it, to a folder that is new or empty.

    Raises:
        StoreError: the version is missing or damaged, or the folder cannot be written or is not empty.
    """
    source = store.version_folder(version)
    # Make sure first that the version can be loaded: otherwise exporting it makes no sense.
    build_model(store.manifest(version), store.weights(version))

    def fill(folder: Staged) -> None:
        for path in (source / MANIFEST_FILE, source / WEIGHTS_FILE, EXAMPLE):
            shutil.copyfile(path, folder / path.name)

    try:
        if out.exists() and any(out.iterdir()):
            raise StoreError(f"{out} is not empty; choose a new folder.")
        out.parent.mkdir(parents=True, exist_ok=True)
        for_people.write_folder(out, fill)
    except OSError as exc:
        raise StoreError(f"Cannot write to {out} ({exc}).") from exc
    return out


def load_exported(folder: Path) -> Model:
    """The model in an exported folder.

    Raises:
        StoreError: its files are missing or damaged.
    """
    try:
        manifest = read_manifest(folder)
    except FileNotFoundError as exc:
        raise StoreError(f"{folder} holds no exported model ({MANIFEST_FILE} is missing).") from exc
    return build_model(manifest, read_weights(folder))
