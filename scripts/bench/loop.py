"""Measure what annotators feel of the loop, on a Label Studio and a backend of its own.

Four parts: from the last needed Submit to the new order; Submit with and without a backend that trains; the webhook
while a model trains; and what publishing a queue of 200 costs in a small and in a large project.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import requests
import typer
from demo import start_backend
from demo_data import CONFIGS, mnist_project
from processes import LIGHT_IMPORTS, LOCALHOST
from rich.table import Table

from bench import options
from bench.start import start_studio
from bench.timing import load, percentile, timed, wait_for
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.config import Settings
from ml_backend.importing.new_tasks import send
from ml_backend.label_studio.answers import result_for
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio.setup import connect_backend, make_project
from ml_backend.rounds.from_settings import workspace
from ml_backend.rounds.log import look, rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import run_round
from ml_backend.simulation.data import data_folder
from ml_backend.store.project_store import ProjectStore

INITIAL: Final = 100
NEEDED: Final = 10
"""New labels that start a round."""
PART_NAMES: Final = ("visible", "submit", "webhook", "publish")
LOOK_INTERVAL: Final = 0.1
SETTLING: Final = 2.0
"""Seconds in which the backend hears of what just happened."""
GOALS: Final = {"visible": 10.0, "submit": 1.2, "webhook": 50.0, "publish": 2.0}
"""Seconds; ratio of 95th percentiles; milliseconds at the 99th; ratio of the largest to the smallest project."""

app = new_app()


@dataclass
class Bench:
    """A Label Studio, a client of its first account, and the backend's settings."""

    client: LabelStudioClient
    settings: Settings
    data: Path

    def store(self, project_id: int) -> ProjectStore:
        """The project's folder."""
        return ProjectStore(self.settings.model_dir, self.client.project(project_id).uid)

    def backend_request(self, method: str, path: str, session: requests.Session, **kwargs: Any) -> requests.Response:
        """A request to the backend, as Label Studio makes it."""
        auth = (str(self.settings.basic_auth_user), "bench")
        url = f"http://{LOCALHOST}:{self.settings.port}/{path}"
        return session.request(method, url, auth=auth, timeout=60, **kwargs)


class Digits:
    """A project of digits: 2,000 held out, 100 labelled, the rest open, or so many of it."""

    def __init__(self, bench: Bench, title: str, *, most_open: int | None = None) -> None:
        demo = mnist_project(bench.data, initial=INITIAL)
        self.bench, self.question = bench, demo.question
        self.id = make_project(bench.client, title, demo.config, demo.question).id
        ahead = demo.counts["held out"] + demo.counts["labelled"]
        send(bench.client, self.id, demo.rows if most_open is None else demo.rows[: ahead + most_open])
        pages = bench.client.task_outlines(self.id)
        self.open = [task.id for page in pages for task in page if not task.is_labeled and not task.is_evaluation]

    def submit(self, number: int) -> float:
        """Answer the next open task, as the page does; the seconds that took."""
        body = {"result": list(result_for(str(number % 10), 1.0, self.question)), "lead_time": 1.5}
        path = f"api/tasks/{self.open.pop()}/annotations/?project={self.id}"
        _, seconds = timed(lambda: self.bench.client.request("POST", path, body=body, once=True))
        return seconds


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("mnist/")] = None,
    part: Annotated[list[str] | None, typer.Option(help=f"Only this part: {', '.join(PART_NAMES)}.")] = None,
    submits: Annotated[int, typer.Option(help="Answers per kind of Submit.", min=20)] = 300,
    events: Annotated[int, typer.Option(help="Webhook events.", min=100)] = 1000,
    sizes: Annotated[str, typer.Option(help="Tasks of the projects to publish in.")] = "1000,10000,50000",
    stock_imports: Annotated[
        bool, typer.Option("--stock-imports", help="Do not set Label Studio's flag for light imports of predictions.")
    ] = False,
) -> None:
    """Start a Label Studio and a backend, and measure the loop."""
    wanted = part or list(PART_NAMES)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as children:  # servers end first
        root = Path(folder)
        client, settings = start_studio(
            children, root, extra_env=None if stock_imports else LIGHT_IMPORTS, keep_queues_seconds=0
        )
        bench = Bench(client, settings, data or data_folder())
        if set(wanted) - {"publish"}:
            messages.print("Importing digits, first round ...")
            digits = Digits(bench, "digits with a backend")
            record_round(workspace(settings, client), RoundRequest(digits.id, "bench"))
            # What the import wrote seconds before that round is read once more: not a part of what is measured.
            record_round(workspace(settings, client), RoundRequest(digits.id, "bench"))
            children.callback(start_backend(settings, root / "backend.log").stop)
            connect_backend(client, digits.id, f"http://{LOCALHOST}:{settings.port}", settings)
            if "visible" in wanted:
                measure_visible(bench, digits)
            if {"submit", "webhook"} & set(wanted):
                plain = Digits(bench, "digits without a backend") if "submit" in wanted else None
                before = [plain.submit(n) for n in range(submits)] if plain else []
                with training_all_the_time(bench, digits):
                    if plain:
                        measure_submit(digits, plain, before, submits)
                    if "webhook" in wanted:
                        measure_webhook(bench, digits, events)
            settle(bench, digits)
        if "publish" in wanted:
            measure_publish(bench, [int(size) for size in sizes.split(",")])


def measure_visible(bench: Bench, digits: Digits, repeats: int = 3) -> None:
    """From the last needed Submit to the switch, with what each step of the round takes of it."""
    table = Table(
        "labels", "seconds", "x goal", "of it: waiting", "steps", title=f"Last needed Submit → new order {load()}"
    )
    store = bench.store(digits.id)
    for repeat in range(repeats):
        settle(bench, digits)
        before = bench.client.project(digits.id).model_version
        known = len(rounds(store))
        for number in range(NEEDED - 1):
            digits.submit(number)
        time.sleep(SETTLING)
        started_at, started = time.time(), time.perf_counter()
        digits.submit(NEEDED)
        wait_for(lambda old=before: bench.client.project(digits.id).model_version != old, LOOK_INTERVAL)
        seconds = time.perf_counter() - started
        wait_for(lambda count=known: len(rounds(store)) > count, LOOK_INTERVAL)
        last = rounds(store, newest=1)[0]
        waited = datetime.fromisoformat(last["started"]).timestamp() - started_at
        labels = str(INITIAL + NEEDED * (repeat + 1))
        table.add_row(labels, f"{seconds:.1f}", f"{seconds / GOALS['visible']:.2f}", f"{waited:.1f}", steps_of(last))
    console.print(table)
    _, seconds = timed(lambda: look(bench.client, digits.id))
    console.print(f"A look at the unchanged project of {len(digits.open):,} open tasks: 2 requests, {seconds:.3f} s.")


def measure_submit(digits: Digits, plain: Digits, before: Sequence[float], count: int) -> None:
    """Answers in turn to the project whose backend trains and to one without a backend."""
    with_backend, without = [], []
    for number in range(count):
        with_backend.append(digits.submit(number))
        without.append(plain.submit(number))
    reference = percentile(without, 95)
    table = Table("Submit, over the API", "median, ms", "p95, ms", "x p95", title=f"{count} answers each {load()}")
    for what, times in (
        ("no backend, nothing trains", before),
        ("no backend, while another project trains", without),
        (f"backend connected and training (goal {GOALS['submit']})", with_backend),
    ):
        p95 = percentile(times, 95)
        table.add_row(what, f"{1e3 * median(times):.0f}", f"{1e3 * p95:.0f}", f"{p95 / reference:.2f}")
    console.print(table)


def measure_webhook(bench: Bench, digits: Digits, count: int) -> None:
    """Events to the backend, a server of its own, while it trains."""
    event = {"action": "ANNOTATION_UPDATED", "project": {"id": digits.id}, "annotation": {"id": 1}}
    times = []
    with requests.Session() as session:
        session.trust_env = False
        for number in range(count):
            if number % 50 == 0 and not is_training(bench, digits):
                digits.submit(number)
                wait_for(lambda: is_training(bench, digits), LOOK_INTERVAL)
            answer, seconds = timed(lambda: bench.backend_request("POST", "webhook", session, json=event))
            answer.raise_for_status()
            times.append(seconds)
            time.sleep(0.005)
    p50, p99 = 1e3 * median(times), 1e3 * percentile(times, 99)
    table = Table(
        "events", "median, ms", "p99, ms", "x goal", "worst, ms", title=f"/webhook while a model trains {load()}"
    )
    table.add_row(f"{count:,}", f"{p50:.1f}", f"{p99:.1f}", f"{p99 / GOALS['webhook']:.2f}", f"{1e3 * max(times):.1f}")
    console.print(table)


def measure_publish(bench: Bench, sizes: Sequence[int], repeats: int = 3) -> None:
    """The same queue in projects of different sizes: the writing steps of a round that reads nothing new."""
    xml = (CONFIGS / "headlines.xml").read_text(encoding="utf-8")
    question: ChoiceQuestion = parse_label_config(xml, project="bench")
    table = Table("tasks", "publish, s", "x smallest", "steps, s", "import of the tasks, s", "look, s")
    table.title = f"Publishing a queue of {bench.settings.queue_size} (goal {GOALS['publish']}) {load()}"
    smallest = None
    rounds_of = workspace(bench.settings, bench.client)
    for size in sizes:
        project = make_project(bench.client, f"{size} texts", xml, question).id
        rows = [{"data": {"text": f"headline {number}"}} for number in range(size)]
        _, import_seconds = timed(lambda project=project, rows=rows: send(bench.client, project, rows))
        run_round(rounds_of, RoundRequest(project, train=False))
        reports = [run_round(rounds_of, RoundRequest(project, train=False)) for _ in range(repeats)]
        steps = {
            name: median([step.seconds for report in reports for step in report.steps if step.name == name])
            for name in ("import", "switch", "tidy")
        }
        seconds = sum(steps.values())
        smallest = smallest or seconds
        _, look_seconds = timed(lambda project=project: look(bench.client, project))
        shown = ", ".join(f"{name} {value:.2f}" for name, value in steps.items())
        ratio = f"{seconds / smallest:.1f}"
        table.add_row(f"{size:,}", f"{seconds:.2f}", ratio, shown, f"{import_seconds:.0f}", f"{look_seconds:.3f}")
    console.print(table)


class training_all_the_time:  # noqa: N801 - reads as the statement that it is used in
    """Each new label starts a round, so that one follows the other while labels come."""

    def __init__(self, bench: Bench, digits: Digits) -> None:
        self._bench, self._digits, self._store = bench, digits, bench.store(digits.id)

    def __enter__(self) -> None:
        self._store.set_extra_params({"train_after_labels": 1, "train_after_seconds": 0})
        self._digits.submit(0)
        wait_for(lambda: is_training(self._bench, self._digits), LOOK_INTERVAL)

    def __exit__(self, *_: object) -> None:
        self._store.set_extra_params({})


def is_training(bench: Bench, digits: Digits) -> bool:
    """Whether a round of the project runs or waits for its turn."""
    return bool(status(bench, digits)["running"])


def settle(bench: Bench, digits: Digits) -> None:
    """Wait until no change waits for a round and none runs."""
    time.sleep(SETTLING)
    wait_for(lambda: is_quiet(status(bench, digits)), LOOK_INTERVAL)


def is_quiet(project: Mapping[str, Any]) -> bool:
    """Whether nothing is under way, by the backend's own word."""
    return not project["running"] and project["next_round_in"] is None


def status(bench: Bench, digits: Digits) -> dict[str, Any]:
    """What the backend tells about the project."""
    with requests.Session() as session:
        session.trust_env = False
        projects: dict[str, Any] = bench.backend_request("GET", "status", session).json()["projects"]
    return dict(projects[str(digits.id)])


def steps_of(line: Mapping[str, Any]) -> str:
    """The steps of a remembered round, with their share."""
    return ", ".join(f"{step['name']} {step['seconds']:.1f}" for step in line["steps"])


if __name__ == "__main__":
    app()
