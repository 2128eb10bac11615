"""The strategy ``predictions``: what another model is least sure of, whatever it predicts."""

from __future__ import annotations

from typing import Final

from ml_backend.strategies.base import Strategy, needs
from ml_backend.strategies.inputs import StrategyInputs, require
from ml_backend.strategies.picks import Floats


def doubts(inputs: StrategyInputs) -> Floats:
    """The doubt of each item's prediction, in [0, 1] ``[N]``; how it is made of scores: `regions.doubt`."""
    return require(inputs.doubts).copy()


PREDICTIONS: Final = Strategy(
    "what another model is least sure of, in any labeling config: boxes, spans, sounds; nothing is trained here",
    "of the scores of a prediction's regions, as the setting `predictions_doubt` says: `1 - mean s`",
    "Brust et al. 2019",
    "O(N)",
    needs=needs("doubts"),
    score=doubts,
    caveat="It believes the scores: a model that is sure of what it gets wrong hides its errors.",
)
