"""Models of questions that take several choices: a probability for each class, none of which knows of the others.

Axes: ``N`` items, ``C`` classes. Targets are sets: ``[N, C]`` in [0, 1], where those of one choice are ``[N]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ModelError
from ml_backend.label_sets import unpack
from ml_backend.models.base import Model

HALF = 0.5
"""Probability from which a class is taken to be in an item's set, where no answers say better."""


def new_model(model: type[Model], labels: Sequence[str], *, multiple: bool = False) -> Model:
    """An untrained model of a class; ``multiple``: for answers of several choices.

    Raises:
        ModelError: it takes one choice only, or as from the model.
    """
    if not multiple:
        return model(labels)
    if not can_learn(model, multiple=multiple):
        raise ModelError(
            f"The model {model.name} learns one choice per answer, and this project takes several: name another "
            'model (settings text_model, image_model), or set choice="single" in the labeling config.'
        )
    return cast("Model", cast("Any", model)(labels, multiple=True))


def can_learn(model: type[Model], *, multiple: bool) -> bool:
    """Whether models of a class learn answers of one choice, or of several (``multiple``)."""
    return not multiple or bool(getattr(model, "takes_several", False))


def takes_sets(model: Model) -> bool:
    """Whether a model's answers are sets: its rows of probabilities then do not sum to 1."""
    return bool(getattr(model, "multiple", False))


def are_sets(targets: NDArray[Any]) -> bool:
    """Whether targets are sets of classes ``[N, C]``, not one class each ``[N]``."""
    return targets.ndim == 2


def thresholds_of(model: Model) -> NDArray[np.float64]:
    """Probability from which each class is taken to be in a set ``[C]``."""
    found = getattr(model, "thresholds", None)
    return np.full(len(model.labels), HALF) if found is None else np.asarray(found, dtype=np.float64)


def usual_thresholds(model: Model) -> NDArray[np.float64]:
    """The same where no evaluation answers are known: what the pool makes expect ``[C]``."""
    found = getattr(model, "usual_thresholds", None)
    return np.full(len(model.labels), HALF) if found is None else np.asarray(found, dtype=np.float64)


def answers_of(model: Model, probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """What a model answers at ``probabilities [N, C]``: the likeliest class ``[N]``, or sets ``[N, C]``."""
    if not takes_sets(model):
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    return np.asarray(probabilities >= thresholds_of(model), dtype=np.int64)


def equal_answers(one: NDArray[np.integer], other: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether answers are the same ``[N]``; of sets, whether they are the same as a whole."""
    same = np.asarray(one == other)
    return np.asarray(same.all(axis=1)) if same.ndim == 2 else same


def target_rows(answers: Sequence[str], labels: Sequence[str], *, multiple: bool) -> NDArray[np.int64]:
    """Indices of labels ``[N]``; of sets, as `label_sets` writes them, which labels each has ``[N, C]``."""
    place = {label: number for number, label in enumerate(labels)}
    if not multiple:
        return np.array([place[label] for label in answers], dtype=np.int64)
    found = np.zeros((len(answers), len(labels)), dtype=np.int64)
    for row, answer in enumerate(answers):
        found[row, [place[label] for label in unpack(answer)]] = 1
    return found


def class_counts(targets: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """How many items have each class ``[C]``."""
    if are_sets(targets):
        return np.asarray(targets.sum(axis=0), dtype=np.int64)
    return np.bincount(targets, minlength=classes)


def different_answers(targets: NDArray[np.integer]) -> int:
    """How many different answers there are."""
    return len(np.unique(targets, axis=0))
