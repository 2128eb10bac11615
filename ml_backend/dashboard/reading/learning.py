"""How the versions improved with labels, and what random labels would have given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ml_backend.dashboard.reading.common import readable_versions
from ml_backend.errors import StoreError
from ml_backend.evaluation.intervals import wilson
from ml_backend.evaluation.stopping import power_law
from ml_backend.rounds.measures import numbers, present
from ml_backend.rounds.random_baseline import fits, recipe
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import ProjectStore

CURVE_POINTS: Final = 40


def read_learning(store: ProjectStore) -> dict[str, Any]:
    """``versions``: name, labels, metrics, losses; ``random``: the random baseline; ``labels_saved`` as measured.

    ``loss`` is the mean training loss of each epoch, ``validation`` (``items``, ``epochs``, ``loss``) the loss on
    evaluation tasks at some of them; None for versions without.

    ``random`` holds ``models`` (labels, accuracy with its 95 % Wilson interval, models) and ``curve``, the power law
    fitted to them (labels, accuracy).
    """
    manifests = [store.manifest(name) for name in readable_versions(store)]
    current = store.current().version
    served = next((manifest for manifest in manifests if manifest.name == current), None)
    problems: list[str] = []
    random: dict[str, Any] = {"models": [], "curve": []}
    saved, missing, counted = None, "", None
    try:
        measures, counted = present(store), numbers(store)
        saved, missing = measures.get("labels_saved"), measures.get("saved_missing") or ""
        if served is not None:
            most = max(served.examples, round((saved or {}).get("random_labels", {}).get("value", 0)))
            random = _random(store, served, most)
    except StoreError as exc:
        problems.append(str(exc))
    return {
        "current": current,
        "versions": [_point(manifest) for manifest in manifests],
        "numbers": counted,
        "random": random,
        "labels_saved": saved,
        "saved_missing": missing,
        "problems": problems,
    }


def _point(manifest: Manifest) -> dict[str, Any]:
    metrics = manifest.metrics or {}
    positive = metrics.get("f_positive")
    training = manifest.training
    return {
        "name": manifest.name,
        "number": manifest.number,
        "created_at": manifest.created_at.isoformat(),
        "labels": manifest.examples,
        "promoted": manifest.promoted,
        "evaluated": metrics.get("n", 0),
        "accuracy": metrics.get("accuracy"),
        "intervals": _intervals(metrics),
        "f": positive if positive is not None else metrics.get("f_macro"),
        "auc": metrics.get("auc"),
        "evaluation": manifest.evaluation_fingerprint,
        "loss": list(training.get("loss") or ()),
        "validation": training.get("validation"),
    }


def _intervals(metrics: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """95 % intervals by measure: Wilson's for accuracy; the others were drawn when the version was measured.

    Versions from older releases have none for F-score and AUC.
    """
    tasks, accuracy, drawn = metrics.get("n"), metrics.get("accuracy"), metrics.get("intervals") or {}
    ends = {"f": drawn.get("f_macro" if metrics.get("f_positive") is None else "f_positive"), "auc": drawn.get("auc")}
    found = {name: {"low": low_high[0], "high": low_high[1]} for name, low_high in ends.items() if low_high}
    if tasks and accuracy is not None:
        interval = wilson(round(accuracy * tasks), tasks)
        found["accuracy"] = {"low": interval.low, "high": interval.high}
    return found


def _random(store: ProjectStore, served: Manifest, most: int) -> dict[str, Any]:
    judged = store.evaluation_predictions(served.name)
    if judged is None:
        return {"models": [], "curve": []}
    settings = served.settings
    about = recipe(judged, served.model, served.labels, settings.get("seed", 0), settings.get("hyperparameters", {}))
    by_size: dict[int, list[float]] = {}
    for (labels, _), right in fits(store, judged, about).items():
        by_size.setdefault(labels, []).append(float(right.mean()))
    tasks = len(judged.targets)
    models = []
    for labels, found in sorted(by_size.items()):
        accuracy = float(np.mean(found))
        interval = wilson(round(accuracy * tasks), tasks)
        models.append(
            {"labels": labels, "accuracy": accuracy, "low": interval.low, "high": interval.high, "models": len(found)}
        )
    curve: list[dict[str, float]] = []
    if len(by_size) > 1:
        sizes = np.array([n for n, found in by_size.items() for _ in found], dtype=np.float64)
        errors = np.array([1.0 - value for found in by_size.values() for value in found])
        a, b = power_law(sizes, errors, tasks)
        for labels in np.geomspace(sizes.min(), max(most, sizes.max()), CURVE_POINTS):
            curve.append({"labels": float(labels), "accuracy": 1.0 - min(a * math.exp(-b * math.log(labels)), 1.0)})
    return {"models": models, "curve": curve}
