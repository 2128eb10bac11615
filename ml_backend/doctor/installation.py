"""Checks of what an installation exposes to others: port, names, Redis, files, and where images may be fetched from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.fetching.addresses import is_loopback, parse_rules
from ml_backend.files import OTHERS, keep_private

SET_ONE: Final = "Set BASIC_AUTH_USER and BASIC_AUTH_PASS for the backend, and the same in Settings > Model."
WIDEST: Final = {4: 8, 6: 16}
"""Bits of a network's prefix; a network with fewer is too large to be somebody's own."""
ANY: Final = "*"
CONTAINER_NAMES: Final = frozenset({"host.docker.internal", "host.containers.internal"})
"""Names by which a container reaches its own machine."""


def port(context: Context) -> Finding:
    """Anybody who can reach the port needs a password."""
    name, settings = "Installation: port", context.settings
    if is_loopback(settings.host):
        return Finding(name, "ok", f"{settings.host}: only this machine can reach it.")
    if settings.basic_auth_user and settings.basic_auth_pass:
        return Finding(name, "ok", f"{settings.host}: others need the password.")
    if settings.insecure:
        open_to = f"{settings.host} without a password (INSECURE): anyone who can reach the port can do anything."
        return Finding(name, "warning", open_to, SET_ONE)
    return Finding(name, "error", f"{settings.host} without a password: the backend refuses to start.", SET_ONE)


def names(context: Context) -> Finding:
    """The backend answers only to its own names."""
    name, given = "Installation: names", context.settings.allowed_hosts
    if ANY in {part.strip() for part in given.split(",")}:
        told = "ALLOWED_HOSTS is *, so a page of any site can reach the backend under its own name."
        return Finding(name, "warning", told, "List the names under which the backend is reached, separated by commas.")
    return Finding(name, "ok", f"Its own and {given}." if given else "Its own.")


def redis_password(context: Context) -> Finding:
    """A Redis that other machines can reach asks for a password."""
    name, url = "Installation: Redis", context.settings.redis_url
    if url is None:
        return Finding(name, "ok", "None is used.")
    found = urlsplit(url.get_secret_value())
    if found.scheme == "unix" or found.password or is_loopback(found.hostname or "localhost"):
        return Finding(name, "ok", "It asks for a password, or only this machine can reach it.")
    told = f"REDIS_URL has no password, and anybody who can reach {found.hostname} can request rounds."
    return Finding(name, "warning", told, "Set requirepass in Redis, and REDIS_URL=redis://:PASSWORD@HOST:PORT/0.")


def _open_files(root: Path) -> list[Path]:
    return [path for path in (root, *root.rglob("*")) if not path.is_symlink() and path.lstat().st_mode & OTHERS]


def files(context: Context) -> Finding:
    """Only the backend's user can read what is stored."""
    name, root = "Installation: files", context.settings.model_dir
    found = _open_files(root) if os.name == "posix" and root.exists() else []
    if not found:
        return Finding(name, "ok", f"{root} is closed to other users.")
    told = f"{len(found):,} files and folders of {root} are open to other users; they hold texts and images of tasks."
    return Finding(name, "warning", told, f"lsal doctor --fix, or chmod -R go= {root}", fixable=True)


def mend_files(context: Context) -> str:
    """Close the files to other users."""
    keep_private(context.settings.model_dir)
    left = len(_open_files(context.settings.model_dir))
    return "Closed." if not left else f"Closed, except for {left:,} that belong to somebody else."


def images(context: Context) -> Finding:
    """MEDIA_ALLOW names only single hosts and networks of one's own."""
    name, given = "Installation: images", context.settings.media_allow or ""
    networks = parse_rules(given, local=False).networks
    wide = [network for network in networks if network.prefixlen < WIDEST[network.version]]
    if wide:
        told = f"MEDIA_ALLOW opens {', '.join(map(str, wide))}, so tasks' images may be fetched from nearly everywhere."
        return Finding(name, "warning", told, "Name the hosts that have your pictures, or their networks.")
    return Finding(name, "ok", f"Public addresses and {given}." if given else "Those that HOST allows; none is added.")


def own_server(context: Context) -> Finding:
    """HOST says what your own WSGI server listens on, which cannot be found out from here."""
    name, settings = "Installation: own server", context.settings
    host = urlsplit(context.backend_url or "").hostname or ""
    if not host or is_loopback(host) or host in CONTAINER_NAMES or not is_loopback(settings.host):
        return Finding(name, "ok", "HOST says where the backend is reached.")
    if settings.trusted_proxy:
        return Finding(name, "ok", f"{host} belongs to a proxy, and HOST is {settings.host}.")
    told = (
        f"The backend is reached as {host}, but HOST is {settings.host}. In that case images may be fetched from all "
        "private addresses, and no password is needed."
    )
    remedy = "With gunicorn and similar servers, set HOST to what it listens on; behind a proxy, set TRUSTED_PROXY."
    return Finding(name, "warning", told, remedy)
