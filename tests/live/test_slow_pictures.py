"""Pictures whose server never ends: a round of a real Label Studio project goes on without them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from support.label_studio import MakeProject, example_data
from support.misbehaving import drip, misbehaving
from support.rounds import Live, queued

from ml_backend.config import ProjectSettings
from ml_backend.fetching.addresses import parse_rules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.rounds.run import Workspace

__all__ = ["misbehaving"]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1000000\r\n\r\n"
BETWEEN = 0.1
"""Seconds from one byte of a picture to the next: whoever waits for the end waits a day."""
MEDIA_SECONDS = 3.0


def test_a_round_orders_the_others_and_names_those(make_project: MakeProject, misbehaving, tmp_path: Path) -> None:
    sent: list[int] = []
    slow = misbehaving(drip(HEAD, seconds=BETWEEN, sent=sent))
    urls = [{"image": f"{slow.url}/{number}.png"} for number in range(4)]
    project = make_project("mnist", example_data("mnist", 8) + urls)
    settings = ProjectSettings(
        strategy="entropy", image_model="mnist_cnn", control_share=0, hyperparameters={"steps": 5}
    )
    workspace = Workspace(
        project.client,
        tmp_path,
        settings,
        keep_queues=timedelta(0),
        fetcher=Fetcher(parse_rules("", local=True)),
        media_seconds=MEDIA_SECONDS,
    )
    live = Live(project, workspace)
    live.label("1", "2", "1", "2")
    report = live.round()
    never = live.ids[8:]
    assert sorted(queued(report)) == live.ids[4:8]
    assert sorted(report.left_out) == never
    assert all("not fetched" in why or "in time" in why for why in report.left_out.values()), report.left_out
    assert len(sent) <= 4 * 2 * MEDIA_SECONDS / BETWEEN
    asked = len(slow.requests)
    again = live.round()
    assert sorted(again.left_out) == never
    assert len(slow.requests) - asked <= 4, "each once a round at the most"
