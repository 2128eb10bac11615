"""Decides under which names the backend may be reached, and where it may listen.

A page of a foreign site can have its own name resolve to this machine ("DNS rebinding"), so that the browser takes the
backend for part of that site. Such requests name the site as their ``Host``, so only our own names are answered.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Final

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.fetching.addresses import is_loopback

ANY: Final = "*"
OWN_NAMES: Final = frozenset({"localhost", "host.docker.internal", "host.containers.internal"})
"""Names that mean this machine everywhere. No foreign page can have one of them."""
HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")


class OpenDoor(ConfigurationError):
    """The backend would answer everybody who can reach this machine."""


def refuse_open_door(settings: Settings) -> None:
    """Refuse to listen beyond this machine without a password, unless a setting explicitly allows it.

    Raises:
        OpenDoor: it would.
    """
    if settings.insecure or is_loopback(settings.host) or (settings.basic_auth_user and settings.basic_auth_pass):
        return
    raise OpenDoor(
        f"HOST={settings.host} opens the backend to other machines, and no password is set: anybody who can reach the "
        "port could read tasks and change the order. Set BASIC_AUTH_USER and BASIC_AUTH_PASS (and the same in "
        "Settings > Model), or use --insecure (INSECURE=1) if the network itself keeps strangers out."
    )


class AllowedHosts:
    """The names and addresses under which the backend answers.

    A request to an address instead of a name never comes from a foreign page, so if the backend listens beyond this
    machine, every address is accepted.

    Args:
        settings: the installation's.
    """

    def __init__(self, settings: Settings) -> None:
        given = {name.strip().strip("[]").lower() for name in settings.allowed_hosts.split(",")} - {""}
        self._any = ANY in given
        self._local = is_loopback(settings.host)
        machine = set() if self._local else {socket.gethostname().lower()}
        self.names: frozenset[str] = OWN_NAMES | given | {settings.host.lower()} | machine
        """Names in lower case."""

    def allows(self, header: str) -> bool:
        """Whether a ``Host`` header names us.

        The port does not matter, because a foreign page cannot choose another one.
        """
        if not header:  # HTTP/1.0, which no browser sends
            return True
        found = HOST.fullmatch(header)
        if found is None:
            return False
        name = found["name"].strip("[]").rstrip(".").lower()
        if self._any or name in self.names:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or not self._local)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
