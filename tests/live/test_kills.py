"""kill -9 at every point of a round: nothing torn, nothing lost, and the next round is right.

Twenty kills; ``make endurance`` makes it a hundred.
"""

from __future__ import annotations

from pathlib import Path

from support.killed_project import KilledProject
from support.kills import heard_steps, kill_round_process
from support.server_kills import kill_server


def test_the_round_process_is_killed(killed: KilledProject) -> None:
    with heard_steps() as steps:
        hit = kill_round_process(killed, steps, 18, least=5, method="forkserver")
    assert len(hit) >= 5


def test_the_server_is_killed(killed: KilledProject, tmp_path: Path) -> None:
    kill_server(killed, tmp_path, 2)
