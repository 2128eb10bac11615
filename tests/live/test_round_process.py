"""The process that runs rounds: what it gives back, what it survives, and that it never outlives its server."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.process_groups import group_lives
from support.trainer_work import work
from support.waiting import PATIENCE, until

from ml_backend.errors import RoundCancelled, RoundProcessDied, StoreError
from ml_backend.jobs.process import RoundProcess


@pytest.fixture
def make_round_process() -> Iterator[Callable[..., RoundProcess]]:
    """Round processes of ``work`` that end with the test. They load nothing that a round needs: they start at once."""
    made: list[RoundProcess] = []

    def make(**options: Any) -> RoundProcess:
        made.append(RoundProcess(work, **options))
        return made[-1]

    yield make
    for round_process in made:
        round_process.close()


@pytest.fixture
def round_process(make_round_process: Callable[..., RoundProcess]) -> RoundProcess:
    return make_round_process()


@pytest.fixture
def under_way(round_process: RoundProcess, tmp_path: Path) -> Iterator[Future[Any]]:
    """A call that has no end; the process is at work on it."""
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        called = pool.submit(round_process.run, "hang", str(begun))
        until(begun.exists, "the call")
        yield called
        round_process.close()


def test_calls_are_answered_by_one_other_process(round_process: RoundProcess) -> None:
    assert round_process.pid is None
    first, second = round_process.run("give", {"a": 1}), round_process.run("give", 2)
    assert (first, second) == ((round_process.pid, {"a": 1}), (round_process.pid, 2))
    assert round_process.pid != os.getpid()


def test_calls_from_two_threads_wait_for_each_other(round_process: RoundProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: round_process.run("give", number)[1], range(20)))
    assert answers == list(range(20))


def test_an_error_of_the_round_comes_back_with_its_traceback(round_process: RoundProcess) -> None:
    with pytest.raises(StoreError, match="the disk is full") as caught:
        round_process.run("raise", StoreError("the disk is full"))
    assert "In the trainer process" in caught.value.__notes__[0]
    assert "in work" in caught.value.__notes__[0]
    pid = round_process.pid
    with pytest.raises(TimeoutError, match="of the round"):  # not taken for our own
        round_process.run("raise", TimeoutError("of the round"))
    assert round_process.run("give") == (pid, None)


def test_errors_and_results_that_cannot_travel_are_told_all_the_same(round_process: RoundProcess) -> None:
    with pytest.raises(RuntimeError, match="Awkward: code 7"):
        round_process.run("raise awkwardly", 7)
    with pytest.raises(Exception, match="pickle"):
        round_process.run("function", 7)
    assert round_process.run("give") == (round_process.pid, None)


def test_what_it_logs_is_logged_here_at_the_levels_set_here(
    round_process: RoundProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    round_process.run("log", "the server")
    (record,) = [record for record in caplog.records if record.name == "some.part"]
    assert (record.getMessage(), record.levelname) == ("heard by the server", "INFO")
    assert record.process == round_process.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS, signal.SIGTERM])
def test_killed_in_the_middle_it_is_replaced(
    round_process: RoundProcess, under_way: Future[Any], number: signal.Signals
) -> None:
    killed = round_process.pid
    assert killed
    os.kill(killed, number)
    with pytest.raises(RoundProcessDied, match=rf"died \(signal {int(number)}\).*The old order stands") as caught:
        under_way.result(PATIENCE)
    assert ("out of memory" in str(caught.value)) == (number == signal.SIGKILL)
    assert ("A file was cut off" in str(caught.value)) == (number == signal.SIGBUS)
    new, _ = round_process.run("give")
    assert new not in (killed, os.getpid())


def test_a_process_that_leaves_says_how(round_process: RoundProcess) -> None:
    with pytest.raises(RoundProcessDied, match=r"died \(exit code 3\)"):
        round_process.run("exit", 3)


def test_killed_while_idle_it_is_replaced_without_a_word_to_the_caller(round_process: RoundProcess) -> None:
    killed, _ = round_process.run("give")
    os.kill(killed, signal.SIGKILL)
    until(lambda: round_process._process is None or not round_process._process.is_alive(), "its end")
    assert round_process.run("give")[0] != killed


def test_a_round_that_hangs_is_broken_off(make_round_process: Callable[..., RoundProcess], tmp_path: Path) -> None:
    round_process = make_round_process(limit=1)
    round_process.start()
    hanging = round_process.pid
    with pytest.raises(RoundProcessDied, match="longer than 1 seconds"):
        round_process.run("hang", str(tmp_path / "begun"))
    round_process._limit = PATIENCE  # the new process may take its time to start
    assert round_process.run("give")[0] != hanging


def test_closing_breaks_off_and_takes_no_more(round_process: RoundProcess, under_way: Future[Any]) -> None:
    round_process.close()
    with pytest.raises(RoundProcessDied, match="The server is stopping"):
        under_way.result(PATIENCE)
    with pytest.raises(RoundProcessDied, match="The server is stopping"):
        round_process.run("give")
    round_process.close()


def test_a_cancelled_call_ends_and_the_next_is_taken(round_process: RoundProcess, under_way: Future[Any]) -> None:
    round_process.cancel()
    with pytest.raises(RoundCancelled, match="model and order are as they were"):
        under_way.result(PATIENCE)
    round_process.cancel()  # nothing is under way
    assert round_process.run("give", 1)[1] == 1


def test_at_rest_it_has_no_process_and_starts_another(round_process: RoundProcess) -> None:
    round_process.rest()
    assert round_process.run("give", 1)[1] == 1
    assert round_process.pid is not None
    round_process.rest()
    assert round_process.pid is None
    assert round_process.run("give", 1)[1] == 1


SERVER = """
import time
from ml_backend.jobs.process import RoundProcess
if __name__ == "__main__":
    round_process = RoundProcess(time.sleep)
    round_process.start()
    print(round_process.pid, flush=True)
    round_process.run(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_never_outlives_its_server(tmp_path: Any, number: signal.Signals) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        assert server.stdout
        round_process = int(server.stdout.readline())
        os.kill(round_process, 0)
        os.kill(server.pid, number)
        server.wait(PATIENCE)
    until(lambda: not group_lives(server.pid), "the end of all its processes")
