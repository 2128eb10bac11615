"""``kill -9`` of the process that runs the rounds, at chosen moments of a round.

Half of the kills hit a step on purpose, each step in turn, the short ones too; the others are spread evenly over the
time that a round takes.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from support.killed_project import SEED, KilledProject
from support.waiting import until

from ml_backend.errors import RoundProcessDied
from ml_backend.jobs.process import StartMethod
from ml_backend.models import heavy
from ml_backend.records import Queue
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import make_round_process

STEPS = ("read", "fit", "judge", "store", "score", "rank", "import", "switch", "tidy", "measure")
PATIENCE = 120.0
PRELOADED = ["ml_backend.pool.round_requests", *heavy.MODULES]


class Steps(logging.Handler):
    """Hears which steps of a round began, and when."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.begun: list[tuple[str, float]] = []

    def emit(self, record: logging.LogRecord) -> None:
        step = record.getMessage().rpartition(": ")[2]
        if step in STEPS:
            self.begun.append((step, time.monotonic()))


@contextmanager
def heard_steps() -> Iterator[Steps]:
    """Hear the steps of rounds while this lasts."""
    handler, logger = Steps(), logging.getLogger("ml_backend.rounds.record")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def plan(kills: int, seed: int) -> list[tuple[str, float]]:
    """When to kill: which share of a step, or of the whole round (""), is over by then; in random order."""
    chance = random.Random(seed)
    by_step = list(itertools.islice(itertools.cycle(STEPS), kills // 2))
    whole = kills - len(by_step)
    kinds: list[tuple[str, float]] = [(step, chance.random()) for step in by_step]
    kinds += [("", (place + chance.random()) / whole) for place in range(whole)]
    chance.shuffle(kinds)
    return kinds


def durations(begun: list[tuple[str, float]], end: float) -> dict[str, float]:
    """Seconds of each step of one round."""
    starts = [*begun, ("", end)]
    return {step: after - start for (step, start), (_, after) in itertools.pairwise(starts)}


class Killer:
    """One round process, killed again and again in the middle of its rounds."""

    def __init__(self, killed: KilledProject, steps: Steps, pool: ThreadPoolExecutor, method: StartMethod) -> None:
        self.killed, self.steps, self.pool = killed, steps, pool
        if method == "forkserver":
            multiprocessing.get_context(method).set_forkserver_preload(PRELOADED)
        self.round_process = make_round_process(killed.settings, method=method)
        self.seconds: dict[str, float] = {}
        """Of each step of the last round that nobody disturbed; of all of it under ""."""

    def start_round(self) -> Future[Any]:
        self.killed.change_labels()
        self.steps.begun.clear()
        return self.pool.submit(self.round_process.run, RoundRequest(self.killed.project.id))

    def undisturbed(self) -> Queue:
        start = time.monotonic()
        result = self.start_round().result(PATIENCE)
        end = time.monotonic()
        self.seconds = durations(self.steps.begun, end) | {"": end - start}
        queue = self.killed.check_right()
        assert result["queue"] == queue.name
        return queue

    def kill(self, step: str, share: float) -> str:
        """Run a round and kill its process after a share of a step, or of all; what it was doing."""
        round_, begun = self.start_round(), self.steps.begun
        until(lambda: not step or any(name == step for name, _ in begun) or round_.done(), step, pause=0.002)
        time.sleep(share * self.seconds.get(step, 0.0))
        until(lambda: self.round_process.pid, "its process")
        os.kill(self.round_process.pid or 0, signal.SIGKILL)
        doing = begun[-1][0] if begun else "before"
        error = round_.exception(PATIENCE)
        if error is None:
            until(lambda: not (process := self.round_process._process) or not process.is_alive(), "its end")
            return "after"
        assert isinstance(error, RoundProcessDied), repr(error)
        assert "died (signal 9)" in str(error)
        return doing


def kill_round_process(
    killed: KilledProject, steps: Steps, kills: int, least: int, *, method: StartMethod = "spawn"
) -> set[str]:
    """Kill the process of the rounds so many times, and on until it was killed in so many steps; those steps.

    How many kills that takes is the machine's affair; twice as many must do. ``method``: ``forkserver`` imports once
    for all processes what each takes three seconds of CPU for.
    """
    hits: Counter[str] = Counter()
    with ThreadPoolExecutor(1) as pool:
        killer = Killer(killed, steps, pool, method)
        try:
            for _ in range(2):  # the second is no longer the first of its process, nor of the project
                killer.undisturbed()
            for number, (step, share) in enumerate([*plan(kills, SEED), *plan(kills, SEED + 2)], start=1):
                if number > kills and len(hits.keys() & set(STEPS)) >= least:
                    break
                hits[killer.kill(step, share)] += 1
                killed.check()
                if number % 10 == 0:
                    killed.prove(killer.undisturbed())
                    killed.check_labels()
            killed.prove(killer.undisturbed())
            killed.check_labels()
        finally:
            killer.round_process.close()
    print(f"\n{hits.total()} kills of the round process, by what it was doing: {dict(hits)}; a round: {killer.seconds}")
    assert hits.total() >= kills
    return set(hits).intersection(STEPS)
