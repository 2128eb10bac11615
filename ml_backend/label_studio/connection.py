"""The installation's client of Label Studio and its fetcher: one each for all who have the same settings."""

from __future__ import annotations

from functools import lru_cache

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.fetching.addresses import is_loopback, parse_rules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.retries import RetryPolicy


@lru_cache(maxsize=4)
def make_client(settings: Settings) -> LabelStudioClient:
    """The configured account's client, one for all requests with these settings.

    Raises:
        ConfigurationError: no token is set. LabelStudioUnauthorized: the token is expired.
    """
    return LabelStudioClient(settings.label_studio_url, _key(settings), timeout=settings.request_timeout)


def hasty_client(settings: Settings, *, timeout: float) -> LabelStudioClient:
    """The configured account, without patience: a new client, which its owner closes.

    Raises:
        ConfigurationError: no token is set. LabelStudioUnauthorized: the token is expired.
    """
    once = RetryPolicy(tries=1, tries_when_locked=1)
    return LabelStudioClient(settings.label_studio_url, _key(settings), timeout=timeout, patience=once)


def _key(settings: Settings) -> str:
    if settings.label_studio_api_key is None:
        raise ConfigurationError("No Label Studio token: set LABEL_STUDIO_API_KEY (Label Studio > Account & Settings).")
    return settings.label_studio_api_key.get_secret_value()


@lru_cache(maxsize=4)
def make_fetcher(settings: Settings) -> Fetcher:
    """What fetches task content that is not Label Studio's, one for all requests with these settings.

    Local addresses are open where the server can be reached from its own machine alone: who reaches it reaches them.
    """
    return Fetcher(parse_rules(settings.media_allow or "", local=is_loopback(settings.host)))
