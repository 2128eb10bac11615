"""Measure what ``--help`` of each command costs: CPU time, the best of some starts, beside a bare Python's."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.table import Table

from ml_backend.cli.app import COMMANDS
from ml_backend.cli.common import console, new_app, tell_errors

LIMIT: Final = 0.7
"""Seconds of CPU that are allowed."""

app = new_app()


@app.command()
@tell_errors
def main(starts: Annotated[int, typer.Option(min=1, help="Starts of each command.")] = 5) -> None:
    """Start each command with --help; CPU seconds, and how many times ``python -c pass`` that is.

    The ratio says what the machine's speed does not. Exit code 1 where a command takes more than the limit.
    """
    bare = cpu_seconds(["-c", "pass"], starts)
    table = Table("command", "CPU s", "times python -c pass", f"of the limit ({LIMIT} s)")
    slow = False
    for name, arguments in {"lsal": [], **{f"lsal {name}": [name] for name in COMMANDS}}.items():
        spent = cpu_seconds(["-m", "ml_backend", *arguments, "--help"], starts)
        table.add_row(name, f"{spent:.2f}", f"{spent / bare:.0f}", f"{spent / LIMIT:.0%}")
        slow |= spent > LIMIT
    console.print(table)
    if slow:
        raise typer.Exit(1)


def cpu_seconds(arguments: Sequence[str], starts: int) -> float:
    """User and system time of a Python with these arguments; the least of some starts."""
    return min(_once(arguments) for _ in range(starts))


def _once(arguments: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    app()
