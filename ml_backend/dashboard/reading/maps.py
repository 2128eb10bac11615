"""Maps of the pool, by version, as plain lists."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.dashboard.address import link
from ml_backend.dashboard.reading.common import about, project_number, shown_as
from ml_backend.errors import StoreError
from ml_backend.records import CONTROL
from ml_backend.store.pool_map import STATES, UNKNOWN
from ml_backend.store.project_store import ProjectStore

DIGITS: Final = 3
"""Decimals of the numbers that are sent, far below what a screen can show."""


def overview(store: ProjectStore) -> dict[str, Any]:
    """``versions`` with a map, oldest first (name, number, labels, accuracy), and where to find the rest."""
    found = []
    for name in store.mapped_versions():
        try:
            manifest = store.manifest(name)
        except StoreError:  # deleted at this moment
            continue
        accuracy = (manifest.metrics or {}).get("accuracy")
        found.append({"name": name, "number": manifest.number, "labels": manifest.examples, "accuracy": accuracy})
    number = project_number(store)
    return {
        "project": number,
        "versions": found,
        "current": store.current().version,
        "classes": list(about(store).get("labels") or ()),
        "kind": shown_as(store),
        "stored_versions": len(store.versions()),
        "api": link(f"api/projects/{number}"),
        "media": link(f"{number}/media/"),
    }


def points(store: ProjectStore, version: str) -> dict[str, Any]:
    """The map of one version as columns of equal length, with one entry per task.

    ``x``, ``y``; ``state``: index into ``states``; ``label`` and ``guess``: indices into ``classes``, -1 for none;
    ``confidence`` and ``uncertainty`` in [0, 1]. Guesses for control tasks that are not answered yet are hidden,
    because somebody who has seen one can no longer measure the model. ``rows``: places of rows of an outside pool that
    are not tasks.

    Raises:
        StoreError: there is no such version, it has no map, or the map is damaged.
    """
    manifest = store.manifest(version)
    drawn = store.map(version)
    if drawn is None:
        raise StoreError(f"Version {version} has no map; the next round draws one of the version then in use.")
    hidden = np.isin(drawn.task_ids, sorted(control_tasks(store)))
    guesses = np.where(hidden, UNKNOWN, drawn.guesses)
    return {
        "version": version,
        "number": manifest.number,
        "labels": manifest.examples,
        "classes": list(manifest.labels),
        "states": list(STATES),
        "pool": drawn.pool,
        "task_ids": drawn.task_ids.tolist(),
        "x": _rounded(drawn.places[:, 0]),
        "y": _rounded(drawn.places[:, 1]),
        "state": drawn.states.tolist(),
        "label": drawn.labels.tolist(),
        "guess": guesses.tolist(),
        "confidence": _rounded(drawn.confidences, hidden),
        "uncertainty": _rounded(drawn.uncertainties, hidden),
        "rows": {"x": _rounded(drawn.row_places[:, 0]), "y": _rounded(drawn.row_places[:, 1])},
    }


def control_tasks(store: ProjectStore) -> set[int]:
    """Tasks of the present queue whose guess must not be shown to anybody."""
    name = store.current().queue
    if name is None:
        return set()
    return {item.task_id for item in store.queue(name).predictions if item.picked_by == CONTROL}


def _rounded(values: NDArray[np.floating], hidden: NDArray[np.bool_] | None = None) -> list[float | None]:
    found: list[float | None] = np.round(values.astype(np.float64), DIGITS).tolist()
    return found if hidden is None else [None if gone else value for value, gone in zip(found, hidden, strict=True)]
