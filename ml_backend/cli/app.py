"""The command ``lsal``: all commands as sub-commands. A command's module is imported only when it runs."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: Final = {
    "serve": ("serve", "Start the ML backend."),
    "worker": ("worker", "Run the rounds that the ML backend puts into Redis."),
    "create-project": ("create_project", "Make a project from a labeling config and connect the ML backend to it."),
    "import": ("import_tasks", "Import tasks: CSV, JSON, JSON Lines, a folder of images, or idx files."),
    "sync": ("sync", "Reorder a project: the most informative open tasks first."),
    "doctor": ("doctor", "Check one installation end to end, and repair it."),
    "pool": ("pool", "A pool outside Label Studio: connect, embed, predict."),
    "measures": ("measures", "What a project's loop is worth."),
    "rounds": ("rounds", "Rounds of a project: cancel them."),
    "search": ("search", "Find tasks by words, by likeness, and by label, prediction or state."),
    "label": ("label", "Give many tasks one label, as one action that can be undone."),
    "versions": ("versions", "Model versions of a project: list, show, roll back, pin, export, delete."),
    "export": ("export_annotations", "Export a project's annotations, each with what asked for it."),
    "report": ("report", "Write what the dashboard shows into files."),
    "simulate": ("simulate", "Simulate active learning with known labels."),
    "fetch-data": ("fetch_data", "Fetch the example data: MNIST digits and news headlines."),
}
"""Name → its module in this folder, and what ``lsal --help`` says of it: the modules need not be read for that."""


class LazyGroup(TyperGroup):
    """A group that knows its commands from `COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order in which a user meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command's name and help alone."""
        del ctx
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that runs, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(str(name)), rest


app = typer.Typer(cls=LazyGroup, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback(no_args_is_help=True)
def lsal() -> None:
    """Active learning for stock Label Studio: annotators always see the most informative task next."""


def load(name: str) -> Any:
    """A command with all its options."""
    return typer.main.get_command(import_module(f"ml_backend.cli.{COMMANDS[name][0]}").app)


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="lsal")
    except SystemExit as end:
        if "daft" not in sys.modules:
            raise
        _leave(end.code)


def _leave(code: object) -> None:
    """End the process at once: threads of Daft's that still ask for the interpreter as it goes down abort it."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
