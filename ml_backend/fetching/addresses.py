"""Which network addresses may be connected to for a URL that a task names: anybody who edits tasks can write one.

A machine's own services and those of its network often trust whoever can reach them. So only public addresses are
open to everybody's URLs, the local ones where that can harm nobody or the installation's owner named them, and a few
never.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NEVER: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "fe80::/10",  # link-local
        "fd00:ec2::254/128",  # metadata: Amazon
        "fd20:ce::254/128",  # metadata: Google
        "100.100.100.200/32",  # metadata: Alibaba
        "168.63.129.16/32",  # the host of a machine at Azure
        "192.0.0.192/32",  # metadata: Oracle
        "224.0.0.0/4",  # multicast
        "ff00::/8",
        "255.255.255.255/32",  # broadcast
    )
)
"""Machines tell secrets about themselves at some of these; none of them holds pictures."""
CARRIERS: Final[tuple[tuple[Network, int], ...]] = (
    (ipaddress.ip_network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (ipaddress.ip_network("::/96"), 0),  # IPv4-compatible (RFC 4291, deprecated)
    (ipaddress.ip_network("::ffff:0:0:0/96"), 0),  # IPv4-translated (RFC 2765)
    (ipaddress.ip_network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052)
    (ipaddress.ip_network("64:ff9b:1::/48"), 0),  # NAT64 of one's own network (RFC 8215)
    (ipaddress.ip_network("2002::/16"), 80),  # 6to4 (RFC 3056)
)
"""IPv6 networks whose addresses carry an IPv4 address, and how many bits stand behind it."""
OWN: Final = frozenset({"", "::", "::1", "0.0.0.0"})  # noqa: S104 - not bound to: these mean this machine


class Reach(enum.Enum):
    """Who can be met at an address."""

    PUBLIC = "public"
    LOCAL = "local"
    """This machine or its network."""
    NEVER = "never"


def parse_address(text: str) -> Address:
    """An address as the resolver writes it; an IPv4 address inside an IPv6 one counts as that IPv4 address.

    Raises:
        ValueError: it is none.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address) or str(address) in OWN:
        return address
    for network, behind in CARRIERS:
        if address in network:
            return ipaddress.IPv4Address(int(address) >> behind & 0xFFFFFFFF)
    return address


def reach_of(address: Address) -> Reach:
    """Who can be met at an address that `parse_address` gave."""
    if any(address in network for network in NEVER):
        return Reach.NEVER
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local  # "global" to Python
    return Reach.PUBLIC if address.is_global and not site_local else Reach.LOCAL


def is_loopback(host: str) -> bool:
    """Whether a server that listens on ``host`` can be reached from its own machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True)
class AddressRules:
    """What may be connected to.

    Args:
        local: whether local addresses are open to everybody.
        hosts: names whose local addresses are open.
        networks: local networks that are open.
    """

    local: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def objection(self, host: str, address: str) -> str | None:
        """Why a URL's host may not be connected to at this address of its own; None where it may."""
        try:
            parsed = parse_address(address)
        except ValueError:
            return f"{host} has an address of an unknown kind"
        reach = reach_of(parsed)
        if reach is Reach.NEVER:
            return f"{host} is a link-local, metadata or multicast address, which is never fetched from"
        if reach is Reach.PUBLIC or self.local or host.lower().rstrip(".") in self.hosts:
            return None
        if any(parsed in network for network in self.networks):
            return None
        return (
            f"{host} is an address of this machine or a private network; if pictures are kept there, name the host or "
            "its network in MEDIA_ALLOW"
        )


def parse_rules(text: str, *, local: bool) -> AddressRules:
    """Rules from a comma-separated list of host names, addresses and networks (``pictures.corp, 10.3.0.0/16``).

    Raises:
        ValueError: an entry is neither; the message names it.
    """
    hosts, networks = set[str](), list[Network]()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            continue
        except ValueError:
            name = entry.lower().rstrip(".")
        if not all(label and all(c.isalnum() or c in "-_" for c in label) for label in name.split(".")):
            raise ValueError(f"{entry!r} is no host name, address or network")
        if name.replace(".", "").isdigit():
            raise ValueError(f"{entry!r} is no address")
        hosts.add(name)
    return AddressRules(local, frozenset(hosts), tuple(networks))
