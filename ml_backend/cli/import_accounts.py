"""Assigns the answers of an imported file to accounts: each stays its annotator's, and none becomes another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ml_backend.errors import DataError
from ml_backend.importing.reading import NewTask
from ml_backend.label_studio.client import LabelStudioClient

NAMED: Final = 10
"""Most annotators that a message names."""


@dataclass(frozen=True)
class Accounts:
    """The accounts of a Label Studio."""

    me: int
    emails: Mapping[int, str]

    def find(self, named: Any) -> int | None:
        """The account that an export names, by its number, its e-mail address or both; None if there is none."""
        if isinstance(named, Mapping):
            return self._by_email(named["email"]) if named.get("email") else self.find(named.get("id"))
        if isinstance(named, str) and not named.isdecimal():
            return self._by_email(named)
        if isinstance(named, bool) or not isinstance(named, int | str):
            return None
        return int(named) if int(named) in self.emails or int(named) == self.me else None

    def _by_email(self, email: Any) -> int | None:
        return next((number for number, known in self.emails.items() if known.lower() == str(email).lower()), None)


def accounts_of(client: LabelStudioClient) -> Accounts:
    """The accounts that this one can see; at least itself.

    Raises:
        LabelStudioError: Label Studio failed.
    """
    me = client.whoami()
    return Accounts(int(me["id"]), client.emails() | ({me["id"]: me["email"]} if me.get("email") else {}))


def give_answers(
    tasks: Sequence[NewTask], accounts: Accounts, *, leave_out: bool = False
) -> tuple[list[NewTask], list[str]]:
    """Tasks whose answers name existing accounts, and what to say about them.

    Answers of annotators without an account here become the importer's, unless a task has several of them, which would
    then count as one person's.

    Args:
        tasks: as they were read.
        accounts: of the Label Studio that the tasks go into.
        leave_out: leave out answers of annotators without an account.

    Raises:
        DataError: a task has answers of several people who would all become one.
    """
    numbers, missing, given = Counter[str](), Counter[str](), []
    for task in tasks:
        owners = [annotation.get("completed_by") for annotation in task.annotations]
        found = [accounts.me if owner is None else accounts.find(owner) for owner in owners]
        unknown = {_name(owner) for owner, account in zip(owners, found, strict=True) if account is None}
        if not leave_out and unknown and len(unknown) + (accounts.me in found) > 1:
            raise DataError(_several(task, unknown))
        missing.update(_name(owner) for owner, account in zip(owners, found, strict=True) if account is None)
        numbers.update(_name(o) for o, account in zip(owners, found, strict=True) if account and isinstance(o, int))
        kept = [
            {**annotation, "completed_by": accounts.me if account is None else account}
            for annotation, account in zip(task.annotations, found, strict=True)
            if account is not None or not leave_out
        ]
        label = task.label if kept or not task.annotations else None
        given.append(replace(task, annotations=tuple(kept), label=label))
    return given, [*_told_numbers(numbers, accounts), *_told_missing(missing, leave_out=leave_out)]


def _name(owner: Any) -> str:
    if isinstance(owner, Mapping):
        return str(owner.get("email") or owner.get("id"))
    return str(owner)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _several(task: NewTask, unknown: set[str]) -> str:
    return (
        f"{task.where}: answers of several people, of whom these have no account here: {_listed(sorted(unknown))}. "
        "Under one account they would count as one person's. Make accounts for them in Label Studio (Organization > "
        "Add People), or leave their answers out (--leave-out-unknown). Nothing was imported"
    )


def _told_numbers(numbers: Counter[str], accounts: Accounts) -> list[str]:
    if not numbers:
        return []
    pairs = [f"{number} is {accounts.emails.get(int(number), 'you')}" for number in sorted(numbers, key=int)]
    return [f"Annotators are named by number; here {_listed(pairs)}"]


def _told_missing(missing: Counter[str], *, leave_out: bool) -> list[str]:
    if not missing:
        return []
    what = "are left out" if leave_out else "become yours"
    return [f"{missing.total():,} answers of annotators without an account here {what}: {_listed(sorted(missing))}"]
