"""Kinds of settings: what values each takes, by the registries and bounds that it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from ml_backend.encoders.registry import check_encoder_name
from ml_backend.errors import ActiveLearningError
from ml_backend.models.checks import bounded_hyperparameters
from ml_backend.models.registry import check_model_name
from ml_backend.strategies.mixture import parse_strategy

LONGEST_NAME: Final = 1_000
"""Characters of a name, or of a mixture of names."""
MOST_CLASSES: Final = 1_000


def _checked(check: Callable[[Any], object]) -> AfterValidator:
    """A validator that tells our errors in pydantic's way."""

    def validate(value: Any) -> Any:
        try:
            check(value)
        except ActiveLearningError as exc:
            raise ValueError(str(exc)) from None
        return value

    return AfterValidator(validate)


def _shares(value: dict[str, float]) -> dict[str, float]:
    if value and not (all(share >= 0 for share in value.values()) and sum(value.values()) > 0):
        raise ValueError("must be numbers from 0, not all of them 0")
    return value


Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Strategy = Annotated[str, Field(max_length=LONGEST_NAME), _checked(parse_strategy)]
TextModel = Annotated[str, Field(max_length=LONGEST_NAME), _checked(lambda name: check_model_name(name, "Text"))]
ImageModel = Annotated[str, Field(max_length=LONGEST_NAME), _checked(lambda name: check_model_name(name, "Image"))]
Embedding = Annotated[str, Field(max_length=LONGEST_NAME), _checked(check_encoder_name)]
Hyperparameters = Annotated[dict[str, Any], _checked(bounded_hyperparameters)]
ClassShares = Annotated[dict[str, Finite], Field(max_length=MOST_CLASSES), AfterValidator(_shares)]
