"""The installation's client of Label Studio and its fetcher: one each for all who have the same settings."""

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
    """A new client, which its owner closes.

    Args:
        settings: the installation's.
        key: an account's token; None: the configured one.
        timeout: seconds without an answer; None: the configured ones.
        patience: what is sent again; None: the usual.

    Raises:
        ConfigurationError: no token is set. LabelStudioUnauthorized: the token is expired.
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
    """The configured account, without patience: a new client, which its owner closes.

    Raises:
        ConfigurationError: no token is set. LabelStudioUnauthorized: the token is expired.
    """
    return new_client(settings, timeout=timeout, patience=RetryPolicy(tries=1, tries_when_locked=1))


@lru_cache(maxsize=4)
def make_client(settings: Settings) -> LabelStudioClient:
    """The configured account's client, one for all requests with these settings.

    Raises:
        ConfigurationError: no token is set. LabelStudioUnauthorized: the token is expired.
    """
    return new_client(settings)


def _key(settings: Settings) -> str:
    if settings.label_studio_api_key is None:
        raise ConfigurationError("No Label Studio token: set LABEL_STUDIO_API_KEY (Label Studio > Account & Settings).")
    return settings.label_studio_api_key.get_secret_value()


@lru_cache(maxsize=4)
def make_fetcher(settings: Settings) -> Fetcher:
    """What fetches task content that is not Label Studio's, one for all requests with these settings.

    Local addresses are open where the server can be reached from its own machine alone: who reaches it reaches them.
    """
    return Fetcher(parse_rules(settings.media_allow or "", local=is_loopback(settings.host)), ca_file=settings.ca_file)
