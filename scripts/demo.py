"""Everything on one machine: a stock Label Studio, the ML backend, and projects that serve the best task first."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import requests
import typer
from demo_data import DemoProject, headline_project, mnist_project, photo_project
from demo_folder import CheckFailed, Secrets, load_secrets, only_one
from processes import (
    LIGHT_IMPORTS,
    LOCALHOST,
    LabelStudioServer,
    ServerProcess,
    start_label_studio,
)
from rich.panel import Panel
from rich.table import Table
from served_pictures import bring_photographs, local_files, serve_folder

from ml_backend.cli.common import messages, new_app, tell_errors, warn
from ml_backend.cli.example_data import fetch
from ml_backend.cli.observer import ProgressObserver, show_report
from ml_backend.config import Settings, load_settings
from ml_backend.dashboard.address import PREFIX as DASHBOARD
from ml_backend.doctor.order_proof import prove_order, standing
from ml_backend.errors import StoreError
from ml_backend.importing.new_tasks import known_keys, send
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.setup import connect_backend, make_project
from ml_backend.pool.round_requests import workspace
from ml_backend.rounds.record import record_round
from ml_backend.rounds.report import Observer, Report
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.simulation.photo_table import holds_photographs
from ml_backend.store.registry import stores_of

REPOSITORY: Final = Path(__file__).resolve().parents[1]
EMAIL: Final = "demo@example.org"
CHECKED_TASKS: Final = 10
"""How many tasks of each project ``--check`` takes from the label stream."""
ASKING: Final = 10.0
"""Seconds in which the backend answers a wish for a round."""
PATIENCE: Final = 1_800.0
"""Seconds to wait for a round of the backend's own: it learns from the pool, which a busy machine takes long for."""

app = new_app()


@app.command()
@tell_errors
def main(
    folder: Annotated[Path, typer.Option(help="Where servers keep their data.")] = REPOSITORY / ".demo",
    data: Annotated[Path, typer.Option(help="Where the data sets lie, or are fetched to.")] = REPOSITORY / "data",
    source: Annotated[Path | None, typer.Option("--from", help="Take the data sets from this folder instead.")] = None,
    offline: Annotated[bool, typer.Option(help="Do not try the network for data.")] = False,
    initial: Annotated[int, typer.Option(help="First labels of the digits: 100, 500 or 1,000, say.", min=2)] = 100,
    digits: Annotated[
        int, typer.Option(help="Most digits to import, held out and labelled ones included.", min=10)
    ] = 10_000,
    pool: Annotated[int, typer.Option(help="Most open headlines to import.", min=1)] = 5_000,
    check: Annotated[bool, typer.Option("--check", help="Prove the served order, then stop.")] = False,
) -> None:
    """Start Label Studio and the ML backend, make and connect projects, train them, publish their queues.

    Digits and headlines; photographs, too, where --from or --data names a folder with groceries.csv.
    Ctrl-C stops everything. The next start resumes with the same projects and labels.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    with only_one(folder), ExitStack() as children:
        get_data(data, source, offline=offline)
        known = load_secrets(folder / "secrets.json")
        studio = start_studio(folder, known, data)
        children.callback(studio.stop)
        settings = load_settings(
            label_studio_url=studio.url,
            label_studio_api_key=known.token,
            model_dir=folder / "versions",
            port=known.backend_port,
            basic_auth_user="label-studio",
            basic_auth_pass=known.backend_password,
        )
        with timed("ML backend"):
            backend = start_backend(settings, folder / "backend.log")
            children.callback(backend.stop)
        client = LabelStudioClient(studio.url, known.token)
        ready = [
            (bring_up(client, project), project)
            for project in demo_projects(data, initial=initial, digits=digits, pool=pool)
        ]
        invite(studio.url, known, [(number, project.title) for number, project in ready], settings)
        ordered = [(number, project) for number, project in ready if put_in_order(client, number, project, settings)]
        if check:
            for project_id, project in ordered:
                check_order(client, project_id, project, settings)
            messages.print(f"[bold green]Check passed[/] in {time.monotonic() - started:.0f} s.")
            return
        keep_up([number for number, _ in ready], settings, studio.process, backend)


def get_data(data: Path, source: Path | None, *, offline: bool) -> None:
    """Bring the data sets into ``data``, and say what was not to be had."""
    with timed("Data"):
        report = fetch(data, source, offline=offline, console=messages if messages.is_terminal else None)
        for note in report.notes:
            messages.print(f"  {note}", style="yellow", highlight=False, soft_wrap=True)
        if source:
            bring_photographs(source, data)


def start_studio(folder: Path, known: Secrets, data: Path) -> LabelStudioServer:
    """Start Label Studio and wait until it answers."""
    with timed("Label Studio (the first start takes a minute)"):
        return start_label_studio(
            folder / "label-studio",
            port=known.label_studio_port,
            username=EMAIL,
            password=known.password,
            token=known.token,
            extra_env=LIGHT_IMPORTS | (local_files(data) if holds_photographs(data) else {}),
        )


def demo_projects(data: Path, *, initial: int, digits: int, pool: int) -> Iterator[DemoProject]:
    """The two projects, and that of the photographs where there are some; each prepared when it is its turn."""
    with timed("Digits: prepare the images"):
        first = mnist_project(data, initial=initial, most=digits)
    yield first
    yield headline_project(data, pool=pool)
    if holds_photographs(data):
        yield photo_project(data)


def start_backend(settings: Settings, log: Path) -> ServerProcess:
    """Start ``scripts/serve.py`` with these settings and wait until it answers."""
    secret_of = {
        name: getattr(settings, name).get_secret_value() for name in ("label_studio_api_key", "basic_auth_pass")
    }
    plain = {
        name: str(getattr(settings, name)) for name in ("label_studio_url", "model_dir", "port", "basic_auth_user")
    }
    env = os.environ | {name.upper(): value for name, value in (plain | secret_of).items()}
    command = [sys.executable, str(REPOSITORY / "scripts" / "serve.py"), "--host", LOCALHOST]
    backend = ServerProcess("The ML backend", command, log=log, env=env)
    try:
        backend.wait_healthy(f"http://{LOCALHOST}:{settings.port}/health")
    except BaseException:
        backend.stop()
        raise
    return backend


def bring_up(client: LabelStudioClient, project: DemoProject) -> int:
    """Make a project and import the tasks that it lacks; its id."""
    counts = ", ".join(f"{count:,} {what}" for what, count in project.counts.items())
    with timed(f"{project.title}: {counts} ({project.source})"):
        there = make_project(client, project.title, project.config, project.question)
        if project.pictures:
            serve_folder(client, there.id, project.pictures)
        known = known_keys(client, there.id, project.question) if there.task_count else set[str]()
        send(client, there.id, [row for row in project.rows if row["data"]["import_key"] not in known])
    return there.id


def put_in_order(client: LabelStudioClient, project_id: int, project: DemoProject, settings: Settings) -> bool:
    """Connect a project, run one round and show it; whether it published a queue.

    Connected earlier, while another project's round runs, it would get a round from the backend beside that one.
    """
    for line in connect_backend(client, project_id, f"http://{LOCALHOST}:{settings.port}", settings):
        warn(line)
    messages.print(f"{project.title}: the first order", highlight=False)
    # Learning from the pool takes minutes more: that is for the rounds in the background. Without labels nothing is
    # trained, and the pool's embedding is all that an order can go by.
    overrides = {"learn_from_pool": False} if project.counts["labelled"] else {}
    with ProgressObserver(messages) as observer:
        report = _patient_round(settings, client, RoundRequest(project_id, "demo"), RunOptions(overrides), observer)
    show_report(messages, report, first=0)
    if report.published:
        messages.print(f"[bold green]{project.title}: the most informative task comes first now.[/]", highlight=False)
    return report.published


def _patient_round(
    settings: Settings, client: LabelStudioClient, request: RoundRequest, options: RunOptions, observer: Observer
) -> Report:
    """A round, once the backend has ended the one that the import may have started there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return record_round(workspace(settings, client), request, options, observer=observer)
        except StoreError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def ask_for_a_round(project_id: int, settings: Settings) -> None:
    """In the background, while people look around: it learns from the pool, too, and draws the first map."""
    event = {"action": "START_TRAINING", "project": {"id": project_id}}
    address = f"http://{LOCALHOST}:{settings.port}/webhook"
    password = settings.basic_auth_pass.get_secret_value() if settings.basic_auth_pass else ""
    auth = (settings.basic_auth_user or "", password)
    try:
        answer = requests.post(address, json=event, auth=auth, timeout=ASKING)
        answer.raise_for_status()
    except requests.RequestException as exc:
        messages.print(f"The first map is drawn after 10 labels: the backend did not take a wish for it ({exc}).")


def check_order(client: LabelStudioClient, project_id: int, project: DemoProject, settings: Settings) -> None:
    """Walk the label stream and compare.

    Raises:
        CheckFailed: the orders differ; the message says where.
    """
    store = stores_of(settings).get(client.project(project_id).uid)
    with ExitStack() as held:
        with timed(f"{project.title}: wait for the backend's own round"):
            held.enter_context(standing(store, timeout=PATIENCE))
        queue = store.queue(store.current().queue or "")
        proof = prove_order(client, project_id, queue, project.question, count=CHECKED_TASKS)
    if not proof.holds:
        raise CheckFailed(f"Project {project_id} does not serve the published order: {proof.difference()}.")
    served = ", ".join(map(str, proof.served))
    messages.print(f"{project.title}: served as published: {served}", highlight=False, soft_wrap=True)


def invite(url: str, known: Secrets, projects: list[tuple[int, str]], settings: Settings) -> None:
    """Print where to go, while the first orders are made."""
    table = Table.grid(padding=(0, 2))
    for project_id, title in projects:
        table.add_row(title, f"{url}/projects/{project_id}/data")
    table.add_row("Login", EMAIL)
    table.add_row("Password", known.password)
    table.add_row("Dashboard", f"http://{LOCALHOST}:{settings.port}{DASHBOARD}")
    table.add_row("Its user", settings.basic_auth_user)
    table.add_row("Its password", known.backend_password)
    messages.print(Panel(table, title="The pages are there. Press “Label All Tasks”.", expand=False))
    messages.print(
        "Until a project is in order, its tasks come as they were imported; the lines below tell when it is."
    )


def keep_up(projects: list[int], settings: Settings, *processes: ServerProcess) -> None:
    """Have the projects learn on, and return only when a server has died.

    Raises:
        CheckFailed: one did; the message carries the end of its log.
    """
    for project_id in projects:
        ask_for_a_round(project_id, settings)
    messages.print("Ctrl-C stops everything; the next start resumes here.")
    while all(process.running for process in processes):
        time.sleep(0.5)
    dead = next(process for process in processes if not process.running)
    raise CheckFailed(f"{dead.name} stopped. Its log, {dead.log}, ends:\n{dead.log_tail()}")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print a step while it runs, and the seconds it took."""
    started = time.monotonic()
    with messages.status(what):
        yield
    messages.print(f"[green]✓[/] {time.monotonic() - started:6.1f} s  {what}", highlight=False, soft_wrap=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    app()
