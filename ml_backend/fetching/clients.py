"""How this product connects by HTTP: whom it trusts, and when it asks through a proxy; one place for all clients."""

from __future__ import annotations

import urllib.request
from functools import lru_cache
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ml_backend.fetching.addresses import is_loopback

MOST_CONTEXTS: Final = 4


@lru_cache(maxsize=MOST_CONTEXTS)
def tls_context(ca_file: Path | None = None) -> SSLContext:
    """The public authorities (or those of SSL_CERT_FILE), and beside them those of ``ca_file``; slow, so made once."""
    context = httpx.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def environment_proxy(url: httpx.URL) -> str | None:
    """The proxy of HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in capitals or not; never one for this machine."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def http_client(url: str, *, ca_file: Path | None = None, **options: Any) -> httpx.Client:
    """A client for one server.

    Args:
        url: the server's. Of this machine it is asked straight, whatever proxy the environment names: that one would
            look for it on its own machine.
        ca_file: certificates of authorities that are trusted beside the public ones.
        options: httpx's.

    Raises:
        httpx.InvalidURL, ValueError: the URL, or that of the proxy, is none.
    """
    local = is_loopback(urlsplit(url).hostname or "")
    return httpx.Client(verify=tls_context(ca_file), trust_env=not local, **options)


def ask(method: str, url: str, *, ca_file: Path | None = None, timeout: float, **options: Any) -> httpx.Response:
    """One request, with `http_client`'s rules; ``options`` are those of ``httpx.Client.request``.

    Raises:
        httpx.HTTPError, httpx.InvalidURL: no answer. ValueError: the URL is none.
    """
    with http_client(url, ca_file=ca_file, timeout=timeout) as client:
        return client.request(method, url, **options)
