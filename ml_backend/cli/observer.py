"""A round on the terminal: progress while it runs, a report when it is done."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ml_backend.label_sets import shown as shown_label
from ml_backend.rounds.report import Report, StepTime

SHOWN_LEFT_OUT = 5
MEASURES = {
    "accuracy": "accuracy",
    "f_macro": "F-score, mean of the classes",
    "f_micro": "F-score of all choices",
    "f_positive": "F-score of the rarer class",
    "auc": "AUC",
}
"""The names that the dashboard's page Versions uses."""


class ProgressObserver:
    """Shows a bar for the running step and a line for each finished one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._bar: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step_started(self, name: str) -> None:
        """Show the step, in place of one that never ended."""
        if self._bar is not None:
            self._progress.remove_task(self._bar)
        self._bar = self._progress.add_task(name, total=None)

    def progress(self, name: str, done: int, total: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._progress.update(self._bar, description=name, completed=done, total=total or None)

    def step_finished(self, step: StepTime) -> None:
        """Replace the bar by a line."""
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None
        line = f"[green]✓[/] {step.seconds:6.1f} s    {step.name:7} {escape(step.detail)}"
        self._console.print(line, highlight=False, soft_wrap=True)


def show_report(console: Console, report: Report, *, first: int = 10) -> None:
    """Print metrics, warnings, tasks left out, and the first tasks of the queue."""
    if report.metrics:
        found = ((name, report.metrics.get(key)) for key, name in MEASURES.items())
        text = ", ".join(f"{name} {value:.1%}" for name, value in found if value is not None)
        console.print(f"  {text}  on {report.metrics['n']} evaluation tasks", highlight=False, soft_wrap=True)
    for warning in report.warnings:
        console.print(f"  {escape(warning)}", style="yellow", highlight=False, soft_wrap=True)
    for task_id, reason in list(report.left_out.items())[:SHOWN_LEFT_OUT]:
        console.print(f"  Task {task_id} is left out: {escape(reason)}", style="yellow", soft_wrap=True)
    if len(report.left_out) > SHOWN_LEFT_OUT:
        console.print(f"  ... and {len(report.left_out) - SHOWN_LEFT_OUT} more are left out", style="yellow")
    if report.queue and first:
        table = Table("place", "task", "guess", "confidence", "score")
        for place, item in enumerate(report.queue.predictions[:first], start=1):
            guess = ("-", "-") if item.label is None else (shown_label(item.label), f"{item.confidence:.3f}")
            table.add_row(str(place), str(item.task_id), *guess, f"{item.score:.6f}")
        console.print(table)
