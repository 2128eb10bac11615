"""Rounds while clocks jump, ours or Label Studio's: nothing is lost, and the next round is right."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from support.disturbed_rounds import LABELS, Live
from support.label_studio import LiveLabelStudio

from ml_backend.label_studio.http import LabelStudioHttp
from ml_backend.rounds.log import rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.versions import newest_usable

HOURS = timedelta(hours=3)


def test_our_clock_jumps(live: Live) -> None:
    live.workspace = replace(live.workspace, keep_versions=3)
    names = [live.first.version]
    for place, jump in enumerate((-HOURS, 2 * HOURS, -2 * HOURS, timedelta(0)), start=6):
        live.label(place)

        def now(zone: Any = UTC, jump: timedelta = jump) -> datetime:
            return datetime.now(zone) + jump

        live.workspace = replace(live.workspace, now=now)
        report = record_round(live.workspace, RoundRequest(live.project.id, "labels"))
        names.append(report.version)
        live.check_right(report)
        assert newest_usable(live.store, replace(live.project.question, labels=LABELS), promoted_only=True) == names[-1]
    assert live.store.versions() == names[-3:]
    assert [line["version"] for line in rounds(live.store)] == names[1:]
    made = [live.store.manifest(str(name)).created_at for name in names[-3:]]
    assert made != sorted(made)


def test_label_studios_clock_is_set_back(
    live: Live, label_studio: LiveLabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round ran while it was three hours ahead; edits after that carry earlier times than what that round saw."""
    annotation = live.label(6)
    real = LabelStudioHttp.server_time
    database = label_studio.log.parent / "label_studio.sqlite3"
    with closing(sqlite3.connect(database, timeout=30)) as db:
        for table in ("task", "prediction"):
            column = "project_id = ?"
            db.execute(
                f"UPDATE {table} SET updated_at = datetime(updated_at, '+3 hours') WHERE {column}", [live.project.id]
            )
        db.commit()
    with monkeypatch.context() as patch:
        patch.setattr(LabelStudioHttp, "server_time", staticmethod(lambda response: real(response) + HOURS))
        ahead = live.round()
    live.check_right(ahead)
    assert ahead.label_counts == {"related": 4, "not related": 3}

    body = {"result": live.project.answer("not related")}
    live.project.client.request("PATCH", f"api/annotations/{annotation}/", body=body)
    report = live.round()
    assert report.label_counts == {"related": 3, "not related": 4}
    live.check_right(report)
    live.label(7)
    assert live.round().label_counts == {"related": 4, "not related": 4}


@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["ahead", "back"])
def test_replaced_orders_while_label_studios_clock_jumps(
    live: Live, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    """The one that is served is never deleted; the replaced one too early at worst, and late ones go in time."""
    live.workspace = replace(live.workspace, keep_queues=timedelta(hours=1))
    real = LabelStudioHttp.server_time
    with monkeypatch.context() as patch:
        patch.setattr(LabelStudioHttp, "server_time", staticmethod(lambda response: real(response) + jump))
        report = live.round()
    assert report.queue
    assert live.first.queue
    assert report.replaced == ([live.first.queue.name] if jump > timedelta(0) else [])
    served, versions, current, _ = live.state()
    assert (served, current.queue, versions[served]) == (report.queue.name, report.queue.name, 4)
    live.workspace = replace(live.workspace, keep_queues=timedelta(0))
    live.check_right(live.round())


def test_a_token_that_only_our_clock_takes_for_valid_is_exchanged_again(label_studio: LiveLabelStudio) -> None:
    """Ours was set back, so the client goes on sending what Label Studio takes for expired."""
    account = label_studio.create_user()
    client = label_studio.new_client(label_studio.personal_access_token(account.client))
    assert client.whoami()["id"] == account.id
    claims = {"token_type": "access", "user_id": account.id, "exp": datetime.now(UTC) + HOURS}
    client.auth.access_token = forged = jwt.encode(claims, "x" * 32)
    assert client.whoami()["id"] == account.id
    assert client.auth.access_token != forged
