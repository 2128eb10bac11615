"""The stored versions, and two of them side by side."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from ml_backend.errors import StoreError
from ml_backend.evaluation.promotion import compare
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import size

FIGURES = ("accuracy", "f_macro", "f_micro", "f_positive", "auc", "nll", "ece", "n")


def read_versions(store: ProjectStore) -> dict[str, Any]:
    """``versions``, newest first: name, created_at, labels, learnt_from, metrics, promoted, guesses, use, bytes.

    A damaged version is marked ``damaged``.
    """
    current = store.current()
    rows = [_row(store, name, current.version, current.pinned) for name in reversed(store.versions())]
    return {"current": current.version, "pinned": current.pinned, "versions": rows}


def _row(store: ProjectStore, name: str, current: str | None, pinned: str | None) -> dict[str, Any]:
    use = [word for word, used in (("in use", current), ("pinned", pinned)) if used == name]
    row: dict[str, Any] = {"name": name, "use": use, "damaged": False}
    try:
        manifest, count = store.manifest(name), size(store, name)
    except (StoreError, OSError):  # deleted in the meantime, or damaged
        return row | {"damaged": True}
    metrics = manifest.metrics or {}
    return row | {
        "created_at": manifest.created_at.isoformat(),
        "labels": manifest.examples,
        "learnt_from": manifest.learnt_from,
        "metrics": {figure: metrics.get(figure) for figure in FIGURES} if metrics else None,
        "promoted": manifest.promoted,
        "guesses": manifest.guesses,
        "bytes": count,
        "seconds": manifest.training.get("seconds"),
    }


def read_comparison(store: ProjectStore, a: str, b: str) -> dict[str, Any]:
    """Version ``a`` beside ``b``: metrics, settings that differ, and the tasks on which they differ.

    Raises:
        StoreError: one of them is not stored, or damaged.
    """
    left, right = _known(store, a), _known(store, b)
    return {
        "a": a,
        "b": b,
        "metrics": [_pair(name, (left.metrics or {}).get(name), (right.metrics or {}).get(name)) for name in FIGURES],
        "facts": [
            _pair("labels", left.examples, right.examples),
            _pair("trained", left.created_at.isoformat(), right.created_at.isoformat()),
            _pair("model", left.model, right.model),
            _pair("learnt from", left.learnt_from, right.learnt_from),
        ],
        "settings": _differences(_settings(left), _settings(right)),
        "mcnemar": _mcnemar(store, left, right),
    }


def _known(store: ProjectStore, name: str) -> Manifest:
    if name not in store.versions():
        raise StoreError(f"Version {name} is not stored (any more); choose one from the list.")
    return store.manifest(name)


def _pair(name: str, a: Any, b: Any) -> dict[str, Any]:
    return {"name": name, "a": a, "b": b}


def _settings(manifest: Manifest) -> dict[str, Any]:
    found = {name: value for name, value in manifest.settings.items() if name != "hyperparameters"}
    tuned = manifest.training.get("hyperparameters") or {}
    libraries = {f"library {name}": value for name, value in manifest.libraries.items()}
    return found | {f"hyperparameter {name}": value for name, value in tuned.items()} | libraries


def _differences(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    return [_pair(name, a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]


def _mcnemar(store: ProjectStore, left: Manifest, right: Manifest) -> dict[str, Any]:
    """A comparison of both on the same tasks; ``problem`` if that is not possible."""
    first, second = store.evaluation_predictions(left.name), store.evaluation_predictions(right.name)
    if first is None or second is None:
        return {"problem": "One of them was never measured task by task."}
    if left.labels != right.labels or not first.about_same_tasks(second):
        return {"problem": "They were measured on different evaluation tasks or labels: figures do not compare."}
    test = compare(second.right, first.right, against=left.name)
    if test.accuracy >= test.accuracy_before:  # the p-value is about the worse of the two
        test = replace(test, p_value=compare(first.right, second.right, against=right.name).p_value)
    return {"problem": None, **asdict(test)}
