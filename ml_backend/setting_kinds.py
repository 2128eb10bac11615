"""Kinds of settings: what values each takes, by the registries and bounds that it is about."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, SecretStr

from ml_backend.encoders.folders import parse_folders
from ml_backend.encoders.registry import check_encoder_name
from ml_backend.errors import ActiveLearningError
from ml_backend.fetching.addresses import parse_rules
from ml_backend.models.checks import bounded_hyperparameters
from ml_backend.models.registry import check_model_name
from ml_backend.strategies.mixture import parse_strategy

LONGEST_NAME: Final = 1_000
"""Characters of a name, or of a mixture of names."""
MOST_CLASSES: Final = 1_000
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


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


def _weights(value: dict[str, float]) -> dict[str, float]:
    if not all(weight >= 0 for weight in value.values()):
        raise ValueError("must be numbers from 0")
    return value


def _server_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")  # not shown: a token may have slipped in
    return value.rstrip("/")


def _server_urls(value: str) -> str:
    return ",".join(_server_url(part.strip()) for part in value.split(",") if part.strip())


def _store_url(value: SecretStr) -> SecretStr:
    if "://" not in value.get_secret_value():
        raise ValueError("must be a URL such as s3://bucket/prefix or file:///mnt/x")
    return value


def _authorities(value: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except ssl.SSLError as exc:
        raise ValueError(f"{value} holds no certificates in PEM form") from exc
    except OSError as exc:
        raise ValueError(f"{value} cannot be read ({exc.strerror or exc})") from exc
    return value


def _log_level(value: str) -> str:
    if value.upper() not in LOG_LEVELS:
        raise ValueError(f"must be one of: {', '.join(LOG_LEVELS)}")
    return value.upper()


Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Strategy = Annotated[str, Field(max_length=LONGEST_NAME), _checked(parse_strategy)]
TextModel = Annotated[str, Field(max_length=LONGEST_NAME), _checked(lambda name: check_model_name(name, "Text"))]
ImageModel = Annotated[str, Field(max_length=LONGEST_NAME), _checked(lambda name: check_model_name(name, "Image"))]
Embedding = Annotated[str, Field(max_length=LONGEST_NAME), _checked(check_encoder_name)]
Hyperparameters = Annotated[dict[str, Any], _checked(bounded_hyperparameters)]
ClassShares = Annotated[dict[str, Finite], Field(max_length=MOST_CLASSES), AfterValidator(_shares)]
QuestionWeights = Annotated[dict[str, Finite], AfterValidator(_weights)]
ServerUrl = Annotated[str, AfterValidator(_server_url)]
ServerUrls = Annotated[str, AfterValidator(_server_urls)]
StoreUrl = Annotated[SecretStr, AfterValidator(_store_url)]
Authorities = Annotated[Path, AfterValidator(_authorities)]
AddressList = Annotated[str, _checked(lambda text: parse_rules(text, local=False))]
EncoderFolders = Annotated[str, _checked(parse_folders)]
LogLevel = Annotated[str, AfterValidator(_log_level)]
