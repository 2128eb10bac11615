"""Imported answers stay their annotators': none is given to somebody else without a word."""

from dataclasses import replace

import pytest

from ml_backend.cli.import_accounts import Accounts, give_answers
from ml_backend.errors import DataError
from ml_backend.importing.reading import NewTask

HERE = Accounts(1, {1: "me@x.org", 2: "Ada@x.org"})


def task(*owners, where="item 1"):
    annotations = tuple(
        {"result": [], "completed_by": owner} if owner is not None else {"result": []} for owner in owners
    )
    return NewTask({"text": "x"}, None, "key", where, annotations)


def owners(tasks):
    return [[given["completed_by"] for given in each.annotations] for each in tasks]


@pytest.mark.parametrize(
    ("named", "account"),
    [
        (2, 2), ("2", 2), ("ada@X.org", 2), ({"email": "ada@x.org"}, 2), ({"id": 2}, 2),
        ({"id": 9, "email": "me@x.org"}, 1),
        (3, None), ("nobody@x.org", None), ({}, None), (True, None), (2.0, None), ([2], None), (None, None),
    ],
)  # fmt: skip
def test_accounts_are_found_by_number_and_address(named, account):
    assert HERE.find(named) == account


def test_answers_go_to_their_accounts_and_who_is_meant_by_a_number_is_said():
    given, notes = give_answers([task(1, 2, "ada@x.org", None)], HERE)
    assert owners(given) == [[1, 2, 2, 1]]
    assert notes == ["Annotators are named by number; here 1 is me@x.org, 2 is Ada@x.org"]


def test_one_stranger_a_task_becomes_the_importer_and_that_is_said():
    given, notes = give_answers([task(7), task("x@y.org"), task(None)], HERE)
    assert owners(given) == [[1], [1], [1]]
    assert notes == ["2 answers of annotators without an account here become yours: 7, x@y.org"]


@pytest.mark.parametrize("people", [(7, 8), (7, 1), (7, None), ("x@y.org", {"email": "z@y.org"})])
def test_strangers_are_never_merged(people):
    with pytest.raises(DataError, match=r"item 1: .* Nothing was imported") as error:
        give_answers([task(2), task(*people)], HERE)
    assert "--leave-out-unknown" in str(error.value)


def test_strangers_beside_others_can_be_left_out():
    given, notes = give_answers([task(7, 8, 2)], HERE, leave_out=True)
    assert owners(given) == [[2]]
    (alone,), _ = give_answers([replace(task(7, 8), label="Yes")], HERE, leave_out=True)
    assert (alone.annotations, alone.label) == ((), None), "a label would be imported as an answer of the importer"
    assert "2 answers of annotators without an account here are left out: 7, 8" in notes


def test_two_answers_of_one_stranger_are_one_persons():
    assert owners(give_answers([task(7, 7)], HERE)[0]) == [[1, 1]]
