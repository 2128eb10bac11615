"""Connections by which a URL is reached: straight, or through the proxy that the environment names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

import httpcore
import httpx

from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.clients import tls_context
from ml_backend.fetching.network import CheckedNetwork, Resolve
from ml_backend.fetching.urls import port_of

KEPT_IDLE: Final = 5.0
"""Seconds that an idle connection is kept for the next fetch."""
ProxyOf = Callable[[httpx.URL], str | None]
"""URL → the proxy to ask for it; None: none."""


class Routes:
    """Pools of connections. Safe to share between threads.

    A proxy connects for us: names are then checked as far as they can be resolved here, and the rest is the proxy's to
    refuse. The proxy itself may be anywhere: the installation's owner names it.
    """

    def __init__(
        self, rules: AddressRules, *, at_once: int, resolve: Resolve, proxy_of: ProxyOf, ca_file: Path | None = None
    ) -> None:
        self._network, self._at_once, self._proxy_of = CheckedNetwork(rules, resolve), at_once, proxy_of
        self._to_proxies = CheckedNetwork(AddressRules(local=True))
        self._pools, self._lock = dict[str, httpcore.ConnectionPool](), Lock()
        self._ca_file = ca_file

    def pool(self, url: httpx.URL) -> httpcore.ConnectionPool:
        """What reaches a URL.

        Raises:
            AddressRefused: it may not be reached through a proxy either. httpx.InvalidURL, ValueError: the proxy's
            URL is none that we know.
        """
        proxy = self._proxy_of(url)
        if proxy is not None:
            with suppress(httpcore.ConnectError):  # a name that only the proxy knows
                self._network.checked_addresses(url.host, port_of(url))
        with self._lock:
            if (proxy or "") not in self._pools:
                self._pools[proxy or ""] = self._new_pool(proxy)
            return self._pools[proxy or ""]

    def _new_pool(self, proxy: str | None) -> httpcore.ConnectionPool:
        tls = tls_context(self._ca_file)
        if proxy is None:
            return httpcore.ConnectionPool(
                ssl_context=tls,
                max_connections=self._at_once,
                keepalive_expiry=KEPT_IDLE,
                network_backend=self._network,
            )
        parsed = httpx.Proxy(proxy)
        return httpcore.HTTPProxy(
            proxy_url=httpcore.URL(
                scheme=parsed.url.raw_scheme, host=parsed.url.raw_host, port=parsed.url.port, target=b"/"
            ),
            proxy_auth=parsed.raw_auth,
            ssl_context=tls,
            max_connections=self._at_once,
            keepalive_expiry=KEPT_IDLE,
            network_backend=self._to_proxies,
        )

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()
        self._network.close()
        self._to_proxies.close()
