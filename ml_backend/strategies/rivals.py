"""Between which classes an item lies, in words."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

RIVALLING: Final = 0.25
"""A second class is named where it is at least so likely as the first, in parts of that."""
LITTLE: Final = 0.005
"""Probability below which none is told as a number."""


def rivals(beliefs: Floats, model: Floats | None) -> str:
    """Between which classes an item lies, in words (`picks.Reasons`); of one that lies in a class, in which.

    Labels of similar items and the model are told apart, because their mean is neither what the model says nor what
    people see beside the item as its guess.

    Args:
        beliefs: of the graph, by labels of items like it ``[C]``.
        model: of the model ``[C]``, where there is one.
    """
    second, first = np.argsort(beliefs, kind="stable")[-2:] if len(beliefs) > 1 else (0, 0)
    guess = -1 if model is None else int(np.argmax(model))
    model_says = "" if model is None else f"the model says {{{guess}}} ({model[guess]:.0%})"
    if model is not None and guess != first:
        return f"{model_says}, items like it {{{first}}} ({beliefs[first]:.0%})"
    if beliefs[second] < RIVALLING * beliefs[first] or first == second:
        return f"like many others; {{{first}}} ({beliefs[first]:.0%}) by items like it"
    between = f"between {{{first}}} ({beliefs[first]:.0%}) and {{{second}}} ({beliefs[second]:.0%}) by items like it"
    return f"{between}; {model_says}" if model_says else between


def doubts(beliefs: Floats, model: Floats | None) -> str:
    """Which class of an item's set is most in doubt, in words (`picks.Reasons`).

    Args:
        beliefs: probability of each class, by the labels of items like it ``[C]``.
        model: the same by the model, where there is one.
    """
    both = beliefs if model is None else (beliefs + model) / 2
    worst = int(np.argmin(np.abs(both - 0.5)))
    said = f"most in doubt: {{{worst}}}, {percent(beliefs[worst])} by items like it"
    return said if model is None else f"{said}, {percent(model[worst])} by the model"


def percent(probability: float) -> str:
    """A probability as people read it: rounded to none, or to certainty, it would leave nothing in doubt."""
    if probability < LITTLE:
        return "under 1%"
    return "over 99%" if probability > 1 - LITTLE else f"{probability:.0%}"
