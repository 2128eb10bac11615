"""Checks of the store: its folder, its files, and what the last round wrote."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.doctor.words import command, duration
from ml_backend.evaluation.guessing import LEVEL, WHAT_TO_TRY
from ml_backend.label_studio.queue_names import parse_queue_name
from ml_backend.rounds.log import SEEN_NAME, rounds
from ml_backend.store.versions import serving_problem

SMALL_DISK: Final = 10**9
"""Bytes; a round needs a few megabytes and fails without them."""
UNLEARNED_FOR: Final = timedelta(hours=1)
"""Labels older than this should be part of a round."""


def store(context: Context) -> Finding:
    """The project has a folder that can be written."""
    name, folder = "Store", context.store.folder
    if not folder.is_dir():
        served = context.project.model_version
        if parse_queue_name(served):
            return Finding(
                name,
                "error",
                f"{folder} does not exist, but Label Studio serves {served}: the store is another folder.",
                "Set MODEL_DIR to the backend's folder.",
            )
        remedy = command("sync", context, "--train")
        return Finding(name, "error", f"{folder} does not exist: no round has run yet.", remedy)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"doctor")
    except OSError as exc:
        return Finding(
            name,
            "error",
            f"{folder} cannot be written ({exc}).",
            "Give the backend's user the folder, or correct MODEL_DIR.",
        )
    return Finding(name, "ok", f"{folder} can be written.")


def free_bytes(place: Path) -> int:
    """Free bytes on the disk that holds a folder."""
    return shutil.disk_usage(place).free


def disk(context: Context, *, free_bytes: Callable[[Path], int] = free_bytes) -> Finding:
    """There is space for the next versions."""
    name = "Disk space"
    place = context.settings.model_dir.absolute()
    while not place.exists():
        place = place.parent
    try:
        free = free_bytes(place)
    except OSError as exc:
        return Finding(name, "error", f"{place} cannot be asked ({exc}).", "Correct MODEL_DIR.")
    if free >= SMALL_DISK:
        return Finding(name, "ok", f"{free / 1e9:.1f} GB free.")
    remedy = "Free some, or lower KEEP_VERSIONS: the next round deletes what is beyond it."
    return Finding(name, "warning", f"Only {free / 1e6:.0f} MB free at {place}.", remedy)


def stored_files(context: Context) -> Finding:
    """The current choice, its queue and every version can be read."""
    name, store = "Stored files", context.store
    current, queue, versions = context.current, context.queue, store.versions()
    if current.version and (problem := serving_problem(store, current.version)):
        return Finding(
            name, "error", problem, f"Delete that version's folder, then {command('sync', context, '--train')}."
        )
    if current.version:
        store.weights(current.version)
    for version in versions:
        store.manifest(version)
    if queue is None:
        return Finding(
            name,
            "error",
            f"Readable ({len(versions)} versions), but no order was published yet.",
            command("sync", context, "--train"),
        )
    if queue.source is not None:
        made_of = ", ".join(name or "without a name" for name in queue.source) or "nobody yet"
        return Finding(name, "ok", f"Readable; {queue.name} is an order by the predictions of {made_of}.")
    if not current.version:
        return Finding(
            name,
            "warning",
            f"Readable; {queue.name} is an order without a model, because none is trained yet.",
            f"Label tasks of two classes, then {command('sync', context, '--train')}.",
        )
    kept = f" (pinned: {current.pinned})" if current.pinned else ""
    return Finding(name, "ok", f"{len(versions)} versions, current {current.version}{kept}, queue {queue.name}.")


def guessing(context: Context) -> Finding:
    """The model in use can be told from guessing the most frequent class."""
    name, version = "Guessing", context.current.version
    if not version:
        return Finding(name, "ok", "No model guesses yet.")
    manifest = context.store.manifest(version)
    if manifest.guesses:
        verdict = manifest.guesses.partition(";")[0]
        return Finding(
            name,
            "warning",
            f"{version} is {verdict}. Its guesses are not shown, and the order covers the pool.",
            f"{WHAT_TO_TRY[:1].upper()}{WHAT_TO_TRY[1:]}.",
        )
    told = manifest.guessing or {}
    if told.get("guessing") is None:
        why = told.get("sentence") or "there is too little to tell by, or check_guessing is off"
        return Finding(name, "ok", f"Not known for {version}: {why}.")
    return Finding(
        name,
        "ok",
        f"{version} is better than guessing: it gets {told['right']:,} of {told['n']:,} left-out tasks right; always "
        f"saying {told['most_frequent']!r} would get {told['frequent']:,}"
        + ("." if told.get("p_accuracy", 0.0) < LEVEL / 2 else ", but it ranks the tasks of a class above the others."),
    )


def last_round(context: Context) -> Finding:
    """How the last round went, and whether changes have been waiting since."""
    name, train = "Last round", command("sync", context, "--train")
    made, last = _time_of_queue(context), next(iter(rounds(context.store, newest=1)), {})
    if last.get("error"):
        return Finding(name, "error", f"It failed: {last['error']}", f"Fix what it says, then {train}")
    if made is None:
        return Finding(name, "warning", "None has published an order.", train)
    ago = f"{duration(context.now() - made)} ago"
    newest = context.client.newest_update(context.project_id)
    changed = datetime.fromisoformat(newest) if newest else made
    if changed - made <= UNLEARNED_FOR:
        return Finding(name, "ok", f"{ago}; nothing has waited longer than {duration(UNLEARNED_FOR)} since.")
    waiting = f"{ago}; tasks or labels changed {duration(context.now() - changed)} ago, and no round has followed."
    return Finding(name, "warning", waiting, f"{train}; the backend's log says why it runs none by itself.")


def _time_of_queue(context: Context) -> datetime | None:
    folder, name = context.store.folder, context.current.queue
    paths = [folder / "current.json", folder / "queues" / f"{name}.json", folder / SEEN_NAME] if name else []
    times = [path.stat().st_mtime for path in paths if path.exists()]
    return datetime.fromtimestamp(max(times), UTC) if times else None
