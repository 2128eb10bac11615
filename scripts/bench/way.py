"""Time the way of the tutorial as a new user waits on it: import, first order, next tasks, pages; each with its goal.

A real Label Studio, the backend as `lsal serve` starts it, the commands as a person types them, pages in Chromium.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import typer
from demo import start_backend
from demo_data import DemoProject, headline_project, mnist_project
from processes import LOCALHOST
from rich.table import Table
from served_pictures import local_files

from bench import options
from bench.dashboard import Times, chromium, new_tab, show_pages
from bench.first_order import make_pictures, photo_project
from bench.start import start_studio
from bench.timing import load, timed
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.config import Settings
from ml_backend.dashboard.address import PREFIX
from ml_backend.importing.new_tasks import send
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.label_studio.setup import connect_backend, make_project
from ml_backend.simulation.data import data_folder

FIRST_ORDER, NEXT_TASK, PAGE, START = 20.0, 0.5, 0.3, 90.0
"""Goals in seconds."""
DEMO: Final = Path(__file__).resolve().parents[1] / "demo.py"
INVITATION: Final = "The pages are there"
"""What the demo prints once its addresses stand."""
SWITCHED: Final = "switch"
"""The step of a round with which its order stands."""

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("the data sets")] = None,
    texts: Annotated[int, typer.Option(min=60, help="Headlines, none labelled.")] = 600,
    digits: Annotated[int, typer.Option(min=60, help="Digits, none labelled.")] = 1_000,
    photographs: Annotated[int, typer.Option(min=60, help="Photographs, none labelled.")] = 600,
    answers: Annotated[int, typer.Option(min=2, help="Answers in each project.")] = 20,
    start: Annotated[bool, typer.Option(help="Also start the demo, until its addresses stand.")] = True,
) -> None:
    """Print seconds, CPU seconds of what was waited for, goals, and the ratio of the two."""
    source = data or data_folder()
    table = Table("what", "seconds", "CPU s", "goal, s", "seconds / goal", title=f"The way of the tutorial {load()}")
    with ExitStack() as children, tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        known = make_pictures(source, root / "files" / "pictures", photographs)
        client, settings = start_studio(children, root, extra_env=local_files(root / "files"))
        children.callback(start_backend(settings, root / "backend.log").stop)
        projects = {
            f"{texts:,} texts": _import(client, headline_project(source, pool=2 * texts), texts),
            f"{digits:,} digits": _import(client, mnist_project(source, initial=2), digits),
            f"{photographs:,} photographs": photo_project(client, known, root / "files" / "pictures"),
        }
        for what, project in projects.items():
            _walk(client, settings, project, what, answers, table)
        if start:
            _add(table, "start to the demo's addresses", *_demo(root / "demo", source), START)
    console.print(table)


def _import(client: LabelStudioClient, demo: DemoProject, count: int) -> int:
    """A project of so many of its tasks, without their labels; its id."""
    project = make_project(client, demo.title, demo.config, demo.question).id
    rows = [{"data": {k: v for k, v in row["data"].items() if k != "split"}} for row in demo.rows]
    send(client, project, rows[:count])
    return project


def _walk(client: LabelStudioClient, settings: Settings, project: int, what: str, answers: int, table: Table) -> None:
    connect_backend(client, project, f"http://{LOCALHOST}:{settings.port}", settings)
    messages.print(f"{what}: first order ...")
    command = [sys.executable, "-m", "ml_backend", "sync", "--project", str(project), "--train"]
    _add(
        table,
        f"{what}: `lsal sync`, to the first order",
        *_until(command, SWITCHED, _environment(settings)),
        FIRST_ORDER,
    )
    messages.print(f"{what}: {answers} answers ...")
    _add(table, f"{what}: next task, median", median(_answer(client, project, answers)), None, NEXT_TASK)
    times = Times()
    password = settings.basic_auth_pass.get_secret_value() if settings.basic_auth_pass else ""
    with chromium() as browser:
        tab = new_tab(browser, {"username": settings.basic_auth_user or "", "password": password})
        for _ in range(3):
            show_pages(tab, f"http://{LOCALHOST}:{settings.port}{PREFIX}{project}/", times)
    for name, found in times.found.items():
        if name.endswith("after a click"):
            _add(table, f"{what}: {name}, median", median(found) / 1_000, None, PAGE)


def _answer(client: LabelStudioClient, project: int, count: int) -> list[float]:
    """Seconds to each next task, while the backend learns from the answers."""
    question = parse_label_config(client.project(project).label_config, project=project)
    waits = []
    for number in range(count):
        task, seconds = timed(lambda: client.next_task(project))
        waits.append(seconds)
        client.annotate(task["id"], annotation_result(question.labels[number % 2], question))
    return waits


def _environment(settings: Settings) -> dict[str, str]:
    token = settings.label_studio_api_key.get_secret_value() if settings.label_studio_api_key else ""
    own = {"LABEL_STUDIO_URL": settings.label_studio_url, "LABEL_STUDIO_API_KEY": token}
    return os.environ | own | {"MODEL_DIR": str(settings.model_dir), "PYTHONUNBUFFERED": "1"}


def _demo(folder: Path, source: Path) -> tuple[float, float]:
    """Seconds, and CPU seconds of the command itself, until the demo invites people."""
    places = ["--folder", str(folder), "--data", str(folder / "data"), "--from", str(source), "--pool", "600"]
    return _until([sys.executable, str(DEMO), *places, "--offline"], INVITATION, os.environ | {"PYTHONUNBUFFERED": "1"})


def _until(command: Sequence[str], said: str, env: dict[str, str]) -> tuple[float, float]:
    """Seconds and CPU seconds of a command until it says something; it may then end, or is stopped.

    Raises:
        RuntimeError: it ended without saying so.
    """
    began, lines = time.perf_counter(), list[str]()
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603
        for line in process.stdout or ():
            lines.append(line)
            if said in line:
                found = time.perf_counter() - began, _cpu_seconds(process.pid)
                if said == INVITATION:
                    process.terminate()
                process.communicate()
                return found
    raise RuntimeError("".join(lines[-20:]))


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _add(table: Table, what: str, seconds: float, cpu: float | None, goal: float) -> None:
    told: list[Any] = [f"{seconds:.2f}", "" if cpu is None else f"{cpu:.1f}", f"{goal:g}", f"{seconds / goal:.2f}"]
    table.add_row(what, *told)


if __name__ == "__main__":
    app()
