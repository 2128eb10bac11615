"""The compose file: no container has more than it needs, and Label Studio asks no private network but the backend's."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
import yaml
from support.places import REPOSITORY

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WRITES_ITS_OWN_FILES = {"label-studio"}
"""Its image makes files beside its program when it starts."""


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_gain_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only") or name in WRITES_ITS_OWN_FILES
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_rounds_give_way_to_what_people_wait_for() -> None:
    usual = 1024
    shares = {name: service.get("cpu_shares", usual) for name, service in SERVICES.items()}
    assert all(shares["worker"] < share for name, share in shares.items() if name != "worker")


def test_links_lead_to_the_address_that_label_studio_was_started_with() -> None:
    public = SERVICES["ml-backend"]["environment"]["LABEL_STUDIO_PUBLIC_URL"]
    assert public == SERVICES["label-studio"]["environment"]["LABEL_STUDIO_HOST"]


def test_only_who_needs_them_reaches_databases_and_queue() -> None:
    members = {
        network: {name for name, service in SERVICES.items() if network in service["networks"]}
        for network in COMPOSE["networks"]
    }
    assert members == {
        "app": {"label-studio", "ml-backend", "worker"},
        "database": {"postgres", "label-studio"},
        "queue": {"redis", "ml-backend", "worker"},
    }
    assert COMPOSE["networks"]["database"]["internal"]
    assert COMPOSE["networks"]["queue"]["internal"]
    assert ":${REDIS_PASSWORD" in SERVICES["worker"]["environment"]["REDIS_URL"]


def test_label_studio_asks_the_backends_network_and_no_other_private_one() -> None:
    environment = SERVICES["label-studio"]["environment"]
    assert environment["SSRF_PROTECTION_ENABLED"] == environment["ML_BLOCK_LOCAL_IP"] == "true"
    banned = [ipaddress.ip_network(part) for part in environment["USER_ADDITIONAL_BANNED_SUBNETS"].split(",")]

    def is_banned(address: str) -> bool:
        return any(ipaddress.ip_address(address) in network for network in banned)

    ours = ipaddress.ip_network(COMPOSE["networks"]["app"]["ipam"]["config"][0]["subnet"])
    assert not any(is_banned(str(ours[n])) for n in (0, 1, 2, 100, 255))
    others = ["127.0.0.1", "0.0.0.0", "10.0.0.1", "192.168.1.1", "169.254.169.254", "172.16.0.1", "172.17.0.1"]
    others += ["172.31.249.255", "172.31.251.0", "172.31.255.255", "::1", "fc00::1", "fe80::1", "::ffff:127.0.0.1"]
    assert [address for address in others if not is_banned(address)] == []
    assert not is_banned("8.8.8.8")
