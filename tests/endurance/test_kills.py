"""A hundred kills -9 of rounds, in each of their steps; and the hundredth round is right, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.killed_project import KilledProject
from support.kills import STEPS, heard_steps, kill_round_process
from support.server_kills import kill_server


@pytest.mark.timeout(3600)
def test_the_round_process_is_killed_in_every_step(killed: KilledProject) -> None:
    with heard_steps() as steps:
        hit = kill_round_process(killed, steps, 97, least=len(STEPS))
    assert hit == set(STEPS)


@pytest.mark.timeout(1800)
def test_the_server_is_killed(killed: KilledProject, tmp_path: Path) -> None:
    kill_server(killed, tmp_path, 3)
