"""The process that runs rounds: what it gives back, what it survives, and that it never outlives its server."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.trainer_work import work

from ml_backend.errors import StoreError, TrainerDied
from ml_backend.jobs.process import Trainer
from ml_backend.server import TRAINING_MODULES

PATIENCE = 60.0


@pytest.fixture
def make_trainer() -> Iterator[Callable[..., Trainer]]:
    """Trainers of ``work`` that end with the test. All share one preload: it is set once in the life of a process."""
    made: list[Trainer] = []

    def make(**options: Any) -> Trainer:
        made.append(Trainer(work, preload=TRAINING_MODULES, **options))
        return made[-1]

    yield make
    for trainer in made:
        trainer.close()


@pytest.fixture
def trainer(make_trainer: Callable[..., Trainer]) -> Trainer:
    return make_trainer()


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.01)


def test_calls_are_answered_by_one_other_process(trainer: Trainer) -> None:
    assert trainer.pid is None
    first, second = trainer.run("give", {"a": 1}), trainer.run("give", 2)
    assert (first, second) == ((trainer.pid, {"a": 1}), (trainer.pid, 2))
    assert trainer.pid != os.getpid()


def test_calls_from_two_threads_wait_for_each_other(trainer: Trainer) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: trainer.run("give", number)[1], range(20)))
    assert answers == list(range(20))


def test_an_error_of_the_round_comes_back_with_its_traceback(trainer: Trainer) -> None:
    with pytest.raises(StoreError, match="the disk is full") as caught:
        trainer.run("raise", StoreError("the disk is full"))
    assert "In the trainer process" in caught.value.__notes__[0]
    assert "in work" in caught.value.__notes__[0]
    pid = trainer.pid
    with pytest.raises(TimeoutError, match="of the round"):  # not taken for our own
        trainer.run("raise", TimeoutError("of the round"))
    assert trainer.run("give") == (pid, None)


def test_errors_and_results_that_cannot_travel_are_told_all_the_same(trainer: Trainer) -> None:
    with pytest.raises(RuntimeError, match="Awkward: code 7"):
        trainer.run("raise awkwardly", 7)
    with pytest.raises(Exception, match="pickle"):
        trainer.run("function", 7)
    assert trainer.run("give") == (trainer.pid, None)


def test_what_it_logs_is_logged_here_at_the_levels_set_here(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trainer.run("log", "the server")
    (record,) = [record for record in caplog.records if record.name == "some.part"]
    assert (record.getMessage(), record.levelname) == ("heard by the server", "INFO")
    assert record.process == trainer.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_killed_in_the_middle_it_is_replaced(trainer: Trainer, number: signal.Signals) -> None:
    trainer.start()
    killed = trainer.pid
    assert killed
    threading.Timer(0.2, os.kill, (killed, number)).start()
    with pytest.raises(TrainerDied, match=rf"died \(signal {int(number)}\).*The old order stands") as caught:
        trainer.run("sleep", PATIENCE)
    assert ("out of memory" in str(caught.value)) == (number == signal.SIGKILL)
    new, _ = trainer.run("give")
    assert new not in (killed, os.getpid())


def test_a_process_that_leaves_says_how(trainer: Trainer) -> None:
    with pytest.raises(TrainerDied, match=r"died \(exit code 3\)"):
        trainer.run("exit", 3)


def test_killed_while_idle_it_is_replaced_without_a_word_to_the_caller(trainer: Trainer) -> None:
    killed, _ = trainer.run("give")
    os.kill(killed, signal.SIGKILL)
    until(lambda: trainer._process is None or not trainer._process.is_alive(), "its end")
    assert trainer.run("give")[0] != killed


def test_a_round_that_hangs_is_broken_off(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(limit=1)
    trainer.start()
    hanging = trainer.pid
    with pytest.raises(TrainerDied, match="longer than 1 seconds"):
        trainer.run("sleep", PATIENCE)
    trainer._limit = PATIENCE  # the new process may take its time to start
    assert trainer.run("give")[0] != hanging


def test_closing_breaks_off_and_takes_no_more(trainer: Trainer) -> None:
    trainer.start()
    threading.Timer(0.2, trainer.close).start()
    with pytest.raises(TrainerDied, match="The server is stopping"):
        trainer.run("sleep", PATIENCE)
    with pytest.raises(TrainerDied, match="The server is stopping"):
        trainer.run("give")
    trainer.close()


SERVER = """
import time
from ml_backend.trainer import Trainer
if __name__ == "__main__":
    trainer = Trainer(time.sleep)
    trainer.start()
    print(trainer.pid, flush=True)
    trainer.run(600)
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
        trainer = int(server.stdout.readline())
        os.kill(trainer, 0)
        os.kill(server.pid, number)
        server.wait(PATIENCE)
    until(lambda: not group_lives(server.pid), "the end of all its processes")


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
