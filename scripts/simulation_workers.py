"""Simulated runs over the cores: one process a core, each on one thread, results told round by round."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch
from simulation_data import Source

from ml_backend.errors import ActiveLearningError, DataError
from ml_backend.simulation import Design, LabelledData, Round, simulate


@dataclass(frozen=True)
class Run:
    """One run to do, and the rounds of it that are done already."""

    strategy: str
    seed: int
    done: tuple[Round, ...] = ()


Ended = ActiveLearningError | None
"""What a worker tells at the end of a run: its error, if there was one."""
OnRound = Callable[[Round], None]
Errors = dict[tuple[str, int], ActiveLearningError]
"""By strategy and seed, of the runs that failed."""


def run_here(data: LabelledData, design: Design, runs: Sequence[Run], on_round: OnRound) -> Errors:
    """Do the runs one after the other in this process."""
    errors: Errors = {}
    for run in runs:
        for told in _told(data, design, run):
            if isinstance(told, Round):
                on_round(told)
            elif told:
                errors[run.strategy, run.seed] = told
    return errors


def run_parallel(source: Source, design: Design, runs: Sequence[Run], on_round: OnRound, *, jobs: int) -> Errors:
    """Do the runs ``jobs`` at a time; ``on_round`` is called in this process.

    Raises:
        DataError: a worker process died (most often, for want of memory).
    """
    errors: Errors = {}
    waiting, workers = list(reversed(runs)), dict[Connection, tuple[BaseProcess, Run]]()
    try:
        for _ in range(min(jobs, len(runs))):
            connection, process = _start(source, design)
            workers[connection] = process, waiting.pop()
            connection.send(workers[connection][1])
        while workers:
            for connection in wait(list(workers)):
                process, run = workers[connection]
                try:
                    told: Round | Ended = connection.recv()
                except EOFError:
                    process.join()
                    raise DataError(
                        f"The worker of {run.strategy}, seed {run.seed}, stopped (exit code {process.exitcode}; -9 is "
                        "most often want of memory). Finished rounds are kept: run the same command again, with "
                        "fewer --jobs"
                    ) from None
                if isinstance(told, Round):
                    on_round(told)
                    continue
                if told:
                    errors[run.strategy, run.seed] = told
                if waiting:
                    workers[connection] = process, waiting.pop()
                    connection.send(workers[connection][1])
                else:
                    connection.send(None)
                    process.join()
                    del workers[connection]
    finally:
        for process, _ in workers.values():
            process.terminate()
            process.join()
    return errors


def _told(data: LabelledData, design: Design, run: Run) -> Iterator[Round | Ended]:
    try:
        yield from simulate(data, design, run.strategy, run.seed, done=run.done)
    except ActiveLearningError as exc:
        yield exc
    else:
        yield None


def _start(source: Source, design: Design) -> tuple[Connection, BaseProcess]:
    """A worker and our end of its pipe. It has no other end open: when we die, it does at the next message."""
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's locks in whatever state they are
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, source, design), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _work(connection: Connection, source: Source, design: Design) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends the workers
    torch.set_num_threads(1)
    data = source.load()
    try:
        for run in iter(connection.recv, None):
            for told in _told(data, design, run):
                connection.send(told)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone
