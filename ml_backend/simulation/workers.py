"""Simulated runs over the cores: one process a core, each on one thread, results told round by round."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from ml_backend.errors import ActiveLearningError, DataError
from ml_backend.models import heavy
from ml_backend.simulation.data import Source
from ml_backend.simulation.design import Design, Round
from ml_backend.simulation.simulate import simulate


@dataclass(frozen=True)
class Run:
    """One run to do, and the rounds of it that are done already."""

    strategy: str
    seed: int
    done: tuple[Round, ...] = ()


PRELOADED: Final = ("ml_backend.simulation.simulate", *heavy.MODULES)
"""Imported once for all workers."""
Ended = ActiveLearningError | None
"""What a worker tells at the end of a run: its error, if there was one."""
OnRound = Callable[[Round], None]
Errors = dict[tuple[str, int], ActiveLearningError]
"""By strategy and seed, of the runs that failed."""


def run_here(rounds_of: Callable[[Run], Iterator[Round]], runs: Sequence[Run], on_round: OnRound) -> Errors:
    """Do the runs one after the other in this process."""
    errors: Errors = {}
    for run in runs:
        try:
            for entry in rounds_of(run):
                on_round(entry)
        except ActiveLearningError as exc:
            errors[run.strategy, run.seed] = exc
    return errors


def run_parallel(
    source: Source, design: Design, runs: Sequence[Run], on_round: OnRound, *, jobs: int, embeddings: Path | None = None
) -> Errors:
    """Do the runs ``jobs`` at a time; ``on_round`` is called in this process.

    Raises:
        DataError: a worker process died (most often, for want of memory).
    """
    errors: Errors = {}
    waiting, workers = list(reversed(runs)), dict[Connection, tuple[BaseProcess, Run]]()
    try:
        for _ in range(min(jobs, len(runs))):
            connection, process = _start(source, design, embeddings)
            workers[connection] = process, waiting.pop()
        for connection in workers:
            _send(connection, workers)
        while workers:
            for connection in _with_news(workers):
                told = _receive(connection, workers)
                process, run = workers[connection]
                if isinstance(told, Round):
                    on_round(told)
                    continue
                if told:
                    errors[run.strategy, run.seed] = told
                if waiting:
                    workers[connection] = process, waiting.pop()
                    _send(connection, workers)
                else:
                    connection.close()  # the worker ends at that
                    process.join()
                    del workers[connection]
    finally:
        for process, _ in workers.values():
            process.terminate()
            process.join()
    return errors


Workers = dict[Connection, tuple[BaseProcess, Run]]
"""Our end of each worker's pipe, the worker, and what it is doing."""


def _with_news(workers: Workers) -> list[Connection]:
    return [connection for connection in wait(list(workers)) if isinstance(connection, Connection)]


def _send(connection: Connection, workers: Workers) -> None:
    try:
        connection.send(workers[connection][1])
    except OSError as exc:
        raise _death(*workers[connection]) from exc


def _receive(connection: Connection, workers: Workers) -> Round | Ended:
    try:
        told: Round | Ended = connection.recv()
    except (EOFError, OSError) as exc:
        raise _death(*workers[connection]) from exc
    return told


def _death(process: BaseProcess, run: Run) -> DataError:
    process.join()
    return DataError(
        f"The worker of {run.strategy}, seed {run.seed}, stopped (exit code {process.exitcode}; -9 is most often want "
        "of memory). Finished rounds are kept: run the same command again, with fewer --jobs"
    )


def _start(source: Source, design: Design, embeddings: Path | None) -> tuple[Connection, BaseProcess]:
    """A worker and our end of its pipe. It has no other end open: when we die, it does at the next message."""
    # Forked from a server that has the slow imports behind it; a fork of this process would copy its threads' locks.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, source, design, embeddings), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _work(connection: Connection, source: Source, design: Design, embeddings: Path | None) -> None:
    import torch  # a worker has it from the fork server; the process that starts workers needs none

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends the workers
    torch.set_num_threads(1)
    data = source.load()
    try:
        while True:
            run: Run = connection.recv()
            error = None
            try:
                for entry in simulate(data, design, run.strategy, run.seed, done=run.done, embeddings=embeddings):
                    connection.send(entry)
            except ActiveLearningError as exc:
                error = exc
            connection.send(error)
    except (EOFError, OSError):
        return  # the parent is gone, or has no more to do
