"""Check one installation end to end: what is right, what is wrong, and the command or setting that fixes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from ml_backend.cli.common import ProjectOption, UrlOption, console, new_app, tell_errors, warn
from ml_backend.cli.joining import NowOption, joined
from ml_backend.errors import ActiveLearningError

if TYPE_CHECKING:
    from ml_backend.config import Settings
    from ml_backend.doctor.diagnosis import Context, Finding, Mended, Status

STYLES: Final[dict[Status, str]] = {"ok": "green", "warning": "yellow", "error": "bold red", "skipped": "dim"}
NAME_WIDTH: Final = 28
"""Of the longest name of a check; a longer one only moves its line."""

OrderOption = Annotated[
    int | None,
    typer.Option(
        "--order", min=1, help="Answer the next K tasks, compare them with the queue, and take the answers back."
    ),
]

app = new_app()


@app.command()
@tell_errors
def main(
    project: ProjectOption,
    backend_url: Annotated[
        str | None, typer.Option("--backend-url", help="The ML backend. [default: the one that is connected]")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired safely, and check again.")] = False,
    order: OrderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    now: NowOption = False,
    url: UrlOption = None,
) -> None:
    """Check one installation end to end: what is right, what is wrong, and the command or setting that fixes it.

    Nothing is changed without `--fix` or `--order`. The exit code is 1 while there are errors. It needs the environment
    of the backend: LABEL_STUDIO_API_KEY, MODEL_DIR, and BASIC_AUTH_USER and BASIC_AUTH_PASS where they are set.
    """
    from ml_backend.config import load_settings
    from ml_backend.doctor.checks import CHECKS
    from ml_backend.doctor.diagnosis import Context, mend

    settings = load_settings(label_studio_url=url)
    if order:
        wait_for_rounds(settings, project, now=now)
        warn(f"The order proof answers the next {order} tasks as this account, and deletes these answers at the end.")
    context = Context(settings, project, backend_url, order)
    # Mending comes before the proof: what it mends is often the order.
    findings = examination(replace(context, order=None if fix else order), show=not as_json)
    mended: list[Mended] = []
    if fix and (order or any(finding.fixable for finding in findings)):
        with context.fresh() as fresh:
            mended = list(mend(fresh, findings, CHECKS))
        if not as_json:
            show_mended(mended)
        findings = examination(context, show=not as_json)
    errors = sum(finding.status == "error" for finding in findings)
    if as_json:
        report = {"project": project, "ok": not errors}
        rows = {"findings": [asdict(item) for item in findings], "mended": [asdict(item) for item in mended]}
        console.print_json(json.dumps(report | rows))
    else:
        console.print(summary(findings), style="bold", highlight=False, soft_wrap=True)
    if errors:
        raise typer.Exit(1)


def wait_for_rounds(settings: Settings, project: int, *, now: bool) -> None:
    """The order is proved while nobody else works on the project: an import may have started a round."""
    from ml_backend.store.registry import stores_of

    def attempt() -> None:
        store = stores_of(settings).open(project)
        if store is not None:
            with store.lock():
                pass

    with suppress(ActiveLearningError):  # the findings tell it
        joined(attempt, project, settings, now=now)


def examination(context: Context, *, show: bool) -> list[Finding]:
    """All findings, each shown as soon as it is there."""
    from ml_backend.doctor.checks import CHECKS
    from ml_backend.doctor.diagnosis import examine

    findings = []
    with context:
        for finding in examine(context, CHECKS):
            findings.append(finding)
            if show:
                show_finding(finding)
    return findings


def show_finding(finding: Finding) -> None:
    """One line, and one more with the remedy."""
    name = f"{finding.name:<{NAME_WIDTH}} "
    line = Text.assemble((f"{finding.status:<8}", STYLES[finding.status]), (name, "bold"), finding.message)
    console.print(line, highlight=False, soft_wrap=True)
    if finding.remedy:
        console.print(Text(f"{'':<8}→ {finding.remedy}", style="cyan"), highlight=False, soft_wrap=True)


def show_mended(mended: Sequence[Mended]) -> None:
    """What was mended, or why it was not."""
    console.print()
    for item in mended:
        word, style = ("mended", "green") if item.done else ("not mended", "red")
        console.print(Text(f"{word}: {item.name}: {item.message}", style=style), highlight=False, soft_wrap=True)
    console.print("\nOnce more:", highlight=False)


def summary(findings: Sequence[Finding]) -> str:
    """How many of each kind."""
    counts = {status: sum(item.status == status for item in findings) for status in STYLES}
    return ", ".join(f"{count} {status}" for status, count in counts.items())
