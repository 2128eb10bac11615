"""What a model refuses before it computes anything: hyperparameters, training data, labels, numbers of passes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ModelError
from ml_backend.models.base import Targets


def resolve_hyperparameters(model: str, defaults: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Defaults overlaid with ``given``, each value of its default's kind; numbers finite and >= 0.

    A default of None is chosen by the model itself, unless a number is given; None or ``auto`` leave it to the model.

    Raises:
        ModelError: an unknown name (the message lists the valid ones), or a value that is none of its kind.
    """
    values: dict[str, Any] = dict(defaults)
    for name, value in (given or {}).items():
        if name not in defaults:
            raise ModelError(f"{model} has no hyperparameter {name!r}; valid names: {', '.join(sorted(defaults))}")
        if defaults[name] is None and value in (None, "auto"):
            values[name] = None
            continue
        if isinstance(defaults[name], str):
            if not isinstance(value, str):
                raise ModelError(f"{model}: hyperparameter {name} must be a text, not {value!r}")
            values[name] = value
            continue
        wants_int = isinstance(defaults[name], int)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or value < 0 or (wants_int and value != int(value)):
            kind = "a whole number" if wants_int else "a finite number"
            raise ModelError(f"{model}: hyperparameter {name} must be {kind} >= 0, not {value!r}")
        values[name] = int(value) if wants_int else float(value)
    for name in ("dropout", "label_smoothing", "feature_dropout"):
        if values.get(name, 0.0) >= 1:
            raise ModelError(f"{model}: hyperparameter {name} must be below 1, not {values[name]!r}")
    if values.get("batch_size", 1) < 1:
        raise ModelError(f"{model}: hyperparameter batch_size must be at least 1")
    return values


def check_training_data(model: str, items: Sequence[Any], targets: Targets, labels: Sequence[str]) -> Targets:
    """``targets`` as int64 ``[N]`` or float32 ``[N, C]``, in step with ``items`` and inside ``labels``.

    Raises:
        ModelError: no items, lengths differ, a target outside the labels, or rows that are no probabilities.
    """
    array: NDArray[Any] = np.asarray(targets)
    if len(items) == 0:
        raise ModelError(f"{model} cannot be trained without items; label at least one task first")
    if np.issubdtype(array.dtype, np.floating) and array.shape == (len(items), len(labels)):
        if not (np.isfinite(array).all() and (array >= 0).all() and np.allclose(array.sum(axis=1), 1.0, atol=1e-3)):
            raise ModelError(f"{model}: each row of targets must be probabilities that sum to 1")
        return array.astype(np.float32, copy=False)
    if array.shape != (len(items),):
        raise ModelError(f"{model}: {len(items)} items but targets of shape {array.shape}; give one target per item")
    if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() >= len(labels):
        raise ModelError(f"{model}: targets must be whole numbers from 0 to {len(labels) - 1}, indices into the labels")
    return array.astype(np.int64, copy=False)


def check_labels(model: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The labels as a tuple.

    Raises:
        ModelError: none, or one of them twice.
    """
    result = tuple(labels)
    if not result or len(set(result)) != len(result):
        raise ModelError(f"{model} needs at least one label, each of them once; got {list(result)}")
    return result


def check_samples(model: str, samples: int) -> None:
    """Refuse a number of passes below one.

    Raises:
        ModelError: ``samples < 1``.
    """
    if samples < 1:
        raise ModelError(f"{model}: samples must be at least 1, not {samples}")


def stored_number(model: str, config: Mapping[str, Any], key: str) -> float:
    """One number of a stored configuration.

    Raises:
        ModelError: it is missing or no number.
    """
    try:
        return float(config[key])
    except (KeyError, TypeError, ValueError) as exc:
        raise ModelError(f"{model}: the stored configuration has no number {key!r}; train again") from exc
