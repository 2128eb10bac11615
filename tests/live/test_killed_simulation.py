"""``kill -9`` of a simulation: started again, it ends with the rounds of one that nobody disturbed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.places import REPOSITORY
from support.process_groups import group_lives
from support.simulations import SIZES, TWO, call, untimed

from ml_backend.simulation.files import read_rounds

SECONDS = 240.0


@pytest.fixture(scope="module")
def whole(csv_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The rounds of a simulation that nobody disturbed."""
    return rounds_of(csv_file, tmp_path_factory.mktemp("whole"))


def rounds_of(csv_file: Path, out: Path) -> dict:
    """Run it to its end, in this process; its rounds."""
    done = call(*arguments(csv_file, out, jobs=1))
    assert done.exit_code == 0, done.output
    return {run: untimed(found) for run, found in read_rounds(out / "topics").items()}


def arguments(csv_file: Path, out: Path, jobs: int) -> list[str]:
    return [str(part) for part in (csv_file, *TWO, *SIZES, "--seeds", 1, "--jobs", jobs, "--out", out)]


def killed_after_a_round(csv_file: Path, out: Path, jobs: int) -> int:
    """Start it, and kill it as soon as a round is written; its process group."""
    script = [sys.executable, str(REPOSITORY / "scripts" / "simulate.py"), *arguments(csv_file, out, jobs)]
    rounds = out / "topics" / "rounds.jsonl"
    end = time.monotonic() + SECONDS
    with subprocess.Popen(
        script, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        while True:
            ended = process.poll() is not None
            if rounds.exists() and rounds.read_bytes():
                break
            assert not ended, "it ended before it wrote a round"
            assert time.monotonic() < end, "no round was written"
            time.sleep(0.01)
        process.kill()
    return process.pid


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_simulation_goes_on_and_ends_with_the_same_rounds(
    csv_file: Path, whole: dict, tmp_path: Path, jobs: int
) -> None:
    group = killed_after_a_round(csv_file, tmp_path, jobs)
    end = time.monotonic() + SECONDS
    while group_lives(group):
        assert time.monotonic() < end, "its workers outlive it"
        time.sleep(0.01)
    with (tmp_path / "topics" / "rounds.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"strategy": "entr')  # as if the disk had taken half a line
    before = sum(map(len, whole.values()))
    assert len((tmp_path / "topics" / "rounds.jsonl").read_text(encoding="utf-8").splitlines()) <= before
    assert rounds_of(csv_file, tmp_path) == whole
