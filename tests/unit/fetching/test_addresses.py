"""Who can be met at an address, however it is written, and what the owner of an installation may open."""

import pytest

from ml_backend.fetching.addresses import AddressRules, Reach, is_loopback, parse_address, parse_rules, reach_of

LOCAL = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "::", "::1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "fc00::1",
    "fec0::1", "192.0.2.1", "240.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::127.0.0.1",
    "64:ff9b:1::10.0.0.1", "2002:7f00:1::", "2002:c0a8:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200",
    "168.63.129.16", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::", "64:ff9b:1::100.100.100.200",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]


@pytest.mark.parametrize(
    ("address", "reach"),
    [(a, Reach.LOCAL) for a in LOCAL] + [(a, Reach.NEVER) for a in NEVER] + [(a, Reach.PUBLIC) for a in PUBLIC],
)
def test_the_reach_of_an_address(address, reach):
    assert reach_of(parse_address(address)) is reach


@pytest.mark.parametrize("address", LOCAL)
def test_a_local_address_is_open_only_where_somebody_said_so(address):
    assert "MEDIA_ALLOW" in (AddressRules().objection("x", address) or "")
    assert AddressRules(local=True).objection("x", address) is None
    assert parse_rules("pictures.corp, x", local=False).objection("X.", address) is None
    assert parse_rules("pictures.corp", local=False).objection("x", address) is not None


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_open(address):
    rules = parse_rules(f"x, 169.254.0.0/16, {address.partition('%')[0]}", local=True)
    assert "never" in (rules.objection("x", address) or "")


def test_named_networks_are_open():
    rules = parse_rules(" 10.3.0.0/16 ,[fc00::5], 192.168.1.9", local=False)
    for address in ("10.3.4.5", "::ffff:10.3.4.5", "fc00::5", "192.168.1.9"):
        assert rules.objection("x", address) is None
    for address in ("10.4.0.1", "fc00::6", "192.168.1.8", "127.0.0.1", "rubbish"):
        assert rules.objection("x", address) is not None


@pytest.mark.parametrize("entry", ["http://x", "10.0.0.0/40", "a b", "10.0.0", "a..b", "*"])
def test_a_wrong_entry_is_named(entry):
    with pytest.raises(ValueError, match="is no"):
        parse_rules(f"fine.corp,{entry}", local=False)


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("[::1]", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("", False), ("10.0.0.1", False), ("backend", False)],
)  # fmt: skip
def test_servers_that_only_their_own_machine_reaches(host, alone):
    assert is_loopback(host) is alone
