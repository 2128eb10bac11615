"""How checks run, without a Label Studio."""

import base64
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ml_backend.cli.doctor import show_finding
from ml_backend.doctor import access
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Check, Finding, Mended, examine, mend
from ml_backend.errors import LabelConfigError, StoreError
from ml_backend.label_studio.setup import is_private


def test_a_check_that_breaks_hides_no_other():
    def fine(context):
        return Finding("fine", "ok", "yes")

    def broken(context):
        raise ZeroDivisionError("oops")

    def refused(context):
        raise LabelConfigError("no")

    entries = (Check("broken", broken), Check("needs it", fine, ("broken",)), Check("r", refused), Check("fine", fine))
    found = list(examine(SimpleNamespace(project_id=1), entries))
    assert [item.status for item in found] == ["error", "skipped", "error", "ok"]
    assert "ZeroDivisionError: oops" in found[0].message


def test_a_mending_that_fails_stops_no_other():
    def fails(context):
        raise StoreError("locked")

    entries = (Check("a", None, fix=fails), Check("b", None, fix=lambda context: "done"), Check("c", None))
    findings = [Finding(name, "error", "", fixable=True) for name in "abc"]
    assert list(mend(None, findings, entries)) == [Mended("a", False, "locked"), Mended("b", True, "done")]
    assert list(mend(None, [replace(findings[1], fixable=False)], entries)) == []


def test_needs_name_earlier_checks():
    seen = set()
    for check in CHECKS:
        assert set(check.needs) <= seen
        seen.add(check.name)


@pytest.mark.parametrize("token", ["a.b.c", "a.e30.c", "a." + base64.b64encode(b'{"exp": "x"}').decode() + ".c", "f"])
def test_what_only_looks_like_a_personal_token_has_no_end(token):
    assert access.personal_token_expiry(token) is None


def test_private_addresses_are_told_apart():
    assert is_private("http://127.0.0.1:9090")
    assert is_private("http://192.168.1.7")
    assert not is_private("http://8.8.8.8/webhook")
    assert not is_private("http://name.invalid")


def test_a_line_of_the_terminal_parts_name_and_message(capsys):
    longest = max((check.name for check in CHECKS), key=len)
    for name in (longest, "x" * 60):
        show_finding(Finding(name, "ok", "None."))
    told = capsys.readouterr().out
    assert f"{longest} None." in told
    assert f"{'x' * 60} None." in told
