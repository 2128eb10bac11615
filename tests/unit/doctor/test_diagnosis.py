"""How checks run, without a Label Studio."""

import base64
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.stores import manifest

from ml_backend.cli.doctor import show_finding
from ml_backend.doctor import access
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Check, Finding, Mended, examine, mend
from ml_backend.doctor.stored import guessing
from ml_backend.errors import LabelConfigError, StoreError
from ml_backend.evaluation.guessing import guessing_verdict
from ml_backend.label_studio.setup import is_private
from ml_backend.rounds.guessing import as_stored


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


@pytest.mark.parametrize(("tasks", "status", "remedy"), [(0, "warning", "lsal import --project 7 FILE"), (1, "ok", "")])
def test_a_project_without_tasks_is_told_where_they_come_from(tasks, status, remedy):
    project = SimpleNamespace(id=7, title="p", task_count=tasks, annotation_count=0)
    found = access.project(SimpleNamespace(project_id=7, project=project))
    assert (found.status, found.remedy.startswith(remedy)) == (status, True)


class Stored:
    """The part of a context that a check of the store reads."""

    def __init__(self, told):
        self.current = SimpleNamespace(version="m-0003-aaaaaaaa")
        made = manifest(3).model_copy(update={"guessing": told})
        self.store = SimpleNamespace(manifest=lambda _: made)


@pytest.mark.parametrize(
    ("probabilities", "status", "said"),
    [
        (np.tile([0.6, 0.4], (60, 1)), "warning", "no better than guessing: 40 of 60 answers"),
        (
            np.repeat([[0.9, 0.1], [0.1, 0.9]], (40, 20), axis=0),
            "ok",
            "it gets 60 of 60 left-out tasks right; always saying 'no' would get 40.",
        ),
        (
            np.repeat([[0.9, 0.1], [0.6, 0.4]], (40, 20), axis=0),
            "ok",
            "it gets 40 of 60 left-out tasks right; always saying 'no' would get 40, but it ranks",
        ),
    ],
)
def test_a_model_that_guesses_is_told_with_what_to_try(probabilities, status, said):
    verdict = guessing_verdict(probabilities, np.repeat([0, 1], (40, 20)), ("no", "yes"))
    found = guessing(Stored(as_stored(verdict)))
    assert (found.status, said in found.message) == (status, True), found
    assert ("label more" in found.remedy.lower()) == (status == "warning")


def test_where_nobody_can_tell_whether_a_model_guesses_nothing_is_wrong():
    few = guessing_verdict(np.tile([0.6, 0.4], (3, 1)), np.array([0, 0, 1]), ("no", "yes"))
    for told in (None, as_stored(few)):
        assert guessing(Stored(told)).status == "ok"
        assert "Not known for m-0003-aaaaaaaa" in guessing(Stored(told)).message
