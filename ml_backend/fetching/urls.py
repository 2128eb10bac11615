"""URLs that a task names: read once, shown without a password."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import urlsplit

import httpx

from ml_backend.errors import BadItemError
from ml_backend.fetching.addresses import is_loopback

SHOWN: Final = 80
"""How much of a bad value an error message repeats."""
PORTS: Final = {"http": 80, "https": 443}


def parse_url(url: str) -> httpx.URL:
    """An absolute http or https URL.

    Raises:
        BadItemError: it is none.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as exc:
        raise BadItemError(f"{url[:SHOWN]} is no valid URL ({exc})") from exc
    if parsed.scheme not in PORTS:
        scheme = parsed.scheme or "relative path"
        raise BadItemError(
            f"{url[:SHOWN]}: cannot read a {scheme} URL; use http(s), an upload, local files or a data URI"
        )
    if not parsed.host:
        raise BadItemError(f"{url[:SHOWN]} is no valid URL: it has no host")
    return parsed


def port_of(url: httpx.URL) -> int:
    """The port that a URL means."""
    return url.port or PORTS[url.scheme]


def shown_url(url: httpx.URL) -> str:
    """A URL for messages: cut, and without user and password."""
    return str(url.copy_with(username=None, password=None))[:SHOWN]


def basic_auth(url: httpx.URL) -> str | None:
    """The Authorization header that a URL's user and password ask for."""
    if not url.userinfo:
        return None
    return "Basic " + base64.b64encode(f"{url.username}:{url.password}".encode()).decode("ascii")


def origin_of(url: str) -> str:
    """Whom a URL means: scheme, host and port. All names of this machine are one; a missing port is the usual.

    Raises:
        ValueError: no valid URL.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or PORTS.get(parts.scheme)
    return f"{parts.scheme}://{'localhost' if is_loopback(host) else host}:{port}"
