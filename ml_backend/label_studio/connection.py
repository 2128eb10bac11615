"""The installation's client of Label Studio and its fetcher, each shared by everyone with the same settings."""

from __future__ import annotations

from functools import lru_cache

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.fetching.addresses import is_loopback, parse_rules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.retries import RetryPolicy


def new_client(
    settings: Settings, *, key: str | None = None, timeout: float | None = None, patience: RetryPolicy | None = None
) -> LabelStudioClient:
    """Make a client, which the caller has to close.

    Args:
        settings: the installation's.
        key: an account's token; None: the configured one.
        timeout: seconds to wait for an answer; None: as configured.
        patience: which requests are repeated; None: the default policy.

    Raises:
        ConfigurationError: no token is set.
        LabelStudioUnauthorized: the token has expired.
    """
    return LabelStudioClient(
        settings.label_studio_url,
        _key(settings) if key is None else key,
        timeout=timeout or settings.request_timeout,
        patience=patience,
        ca_file=settings.ca_file,
        names=tuple(filter(None, (settings.pages_url, *settings.label_studio_names.split(",")))),
    )


def hasty_client(settings: Settings, *, timeout: float) -> LabelStudioClient:
    """Make a client for the configured account that never repeats a request. The caller has to close it.

    Raises:
        ConfigurationError: no token is set.
        LabelStudioUnauthorized: the token has expired.
    """
    return new_client(settings, timeout=timeout, patience=RetryPolicy(tries=1, tries_when_locked=1))


@lru_cache(maxsize=4)
def make_client(settings: Settings) -> LabelStudioClient:
    """The configured account's client, shared by all requests with these settings.

    Raises:
        ConfigurationError: no token is set.
        LabelStudioUnauthorized: the token has expired.
    """
    return new_client(settings)


def _key(settings: Settings) -> str:
    if settings.label_studio_api_key is None:
        raise ConfigurationError("No Label Studio token: set LABEL_STUDIO_API_KEY (Label Studio > Account & Settings).")
    return settings.label_studio_api_key.get_secret_value()


@lru_cache(maxsize=4)
def make_fetcher(settings: Settings) -> Fetcher:
    """The fetcher for task content outside Label Studio, shared by all requests with these settings.

    It may open local addresses only if the server itself listens on its own machine alone: whoever can send it requests
    then has access to those addresses anyway.
    """
    return Fetcher(parse_rules(settings.media_allow or "", local=is_loopback(settings.host)), ca_file=settings.ca_file)
