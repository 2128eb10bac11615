"""What a model refuses before it computes anything: hyperparameters, training data, labels, numbers of passes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ModelError
from ml_backend.models.base import Targets


@dataclass(frozen=True)
class Bounds:
    """Between which values a number may lie."""

    least: float
    most: float
    below: bool = False
    """Whether ``most`` itself is too much."""

    def __str__(self) -> str:
        if math.isinf(self.most):
            return f"from {self.least:g}"
        return f"from {self.least:g} to {'below ' if self.below else ''}{self.most:,.10g}"

    def hold(self, value: float) -> bool:
        """Whether a value lies between them."""
        if not math.isfinite(value):
            return False
        return self.least <= value < self.most if self.below else self.least <= value <= self.most


BOUNDS: Final[Mapping[str, Bounds]] = {
    "steps": Bounds(0, 100_000),
    "batch_size": Bounds(1, 16_384),
    "learning_rate": Bounds(0, math.inf),  # too large a one costs no time: the loss becomes NaN, which is told
    "weight_decay": Bounds(0, math.inf),
    "penalty": Bounds(0, 1e6),
    "dropout": Bounds(0, 1, below=True),
    "feature_dropout": Bounds(0, 1, below=True),
    "label_smoothing": Bounds(0, 1, below=True),
    "warm_starts": Bounds(0, 100),
}
"""Of hyperparameters that several models have: what lies beyond keeps all others waiting, or trains nothing."""
MOST_HYPERPARAMETERS: Final = 50
LONGEST_TEXT: Final = 1_000
ANY_NUMBER: Final = Bounds(0, 1e6)
"""Of a number that is not listed."""


def bounds_of(name: str) -> Bounds:
    """Between which values a hyperparameter may lie."""
    return BOUNDS.get(name, ANY_NUMBER)


def bounded_hyperparameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters of a model that is not known yet, as a setting has them.

    Raises:
        ModelError: too many, a number out of its bounds, a text that is too long, or neither of the two.
    """
    if len(given) > MOST_HYPERPARAMETERS:
        raise ModelError(f"at most {MOST_HYPERPARAMETERS} of them, not {len(given)}")
    for name, value in given.items():
        if isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                raise ModelError(f"{name} must be a text of at most {LONGEST_TEXT} characters")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if not bounds_of(name).hold(value):
                raise ModelError(f"{name} must be a number {bounds_of(name)}")
        elif value is not None and not isinstance(value, bool):  # None: the default again
            raise ModelError(f"{name} must be a number or a text")
    return dict(given)


def resolve_hyperparameters(model: str, defaults: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Defaults overlaid with ``given``, each value of its default's kind; numbers within `bounds_of` their names.

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
        bounds = bounds_of(name)
        if not is_number or not bounds.hold(value) or (wants_int and value != int(value)):
            kind = "a whole number" if wants_int else "a number"
            raise ModelError(f"{model}: hyperparameter {name} must be {kind} {bounds}, not {value!r}")
        values[name] = int(value) if wants_int else float(value)
    return values


def check_training_data(
    model: str, items: Sequence[Any], targets: Targets, labels: Sequence[str], *, multiple: bool = False
) -> Targets:
    """``targets`` as int64 ``[N]`` or float32 ``[N, C]``, in step with ``items`` and inside ``labels``.

    ``multiple``: they are sets, ``[N, C]`` in [0, 1].

    Raises:
        ModelError: no items, lengths differ, a target outside the labels, or rows that are no probabilities.
    """
    array: NDArray[Any] = np.asarray(targets)
    if len(items) == 0:
        raise ModelError(f"{model} cannot be trained without items; label at least one task first")
    if multiple:
        return _checked_sets(model, array, (len(items), len(labels)))
    if np.issubdtype(array.dtype, np.floating) and array.shape == (len(items), len(labels)):
        if not (np.isfinite(array).all() and (array >= 0).all() and np.allclose(array.sum(axis=1), 1.0, atol=1e-3)):
            raise ModelError(f"{model}: each row of targets must be probabilities that sum to 1")
        return array.astype(np.float32, copy=False)
    if array.shape != (len(items),):
        raise ModelError(f"{model}: {len(items)} items but targets of shape {array.shape}; give one target per item")
    if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() >= len(labels):
        raise ModelError(f"{model}: targets must be whole numbers from 0 to {len(labels) - 1}, indices into the labels")
    return array.astype(np.int64, copy=False)


def _checked_sets(model: str, array: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    if array.shape != shape:
        raise ModelError(f"{model}: targets of several choices must be of shape {shape}, not {array.shape}")
    values = array.astype(np.float32)
    if not ((values >= 0) & (values <= 1)).all():  # False for NaN
        raise ModelError(f"{model}: targets of several choices must lie between 0 and 1")
    return values


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


def stored_thresholds(model: str, stored: Any, classes: int) -> NDArray[np.float64] | None:
    """Thresholds of a stored configuration; None where it has none.

    Raises:
        ModelError: they are no numbers, or not one for each class.
    """
    if stored is None:
        return None
    try:
        found = np.array([float(value) for value in stored])
    except (TypeError, ValueError) as exc:
        raise ModelError(f"{model}: the stored thresholds are no numbers; train again") from exc
    if found.shape != (classes,) or not np.isfinite(found).all():
        raise ModelError(f"{model}: the stored thresholds are not one number for each class; train again")
    return found


def stored_number(model: str, config: Mapping[str, Any], key: str) -> float:
    """One number of a stored configuration.

    Raises:
        ModelError: it is missing or no number.
    """
    try:
        return float(config[key])
    except (KeyError, TypeError, ValueError) as exc:
        raise ModelError(f"{model}: the stored configuration has no number {key!r}; train again") from exc
