"""Measure the instant loop as annotators feel it: Submit with it and without it, and what the next task knows.

Two projects of digits behind one backend, one with the instant loop and one without, answered in turn by one person who
looks at each task for a while. No round runs meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import requests
import typer
from demo import start_backend
from processes import LIGHT_IMPORTS, LOCALHOST
from rich.table import Table

from bench import options
from bench.loop import Bench, Digits, load, percentile, timed, wait_for
from bench.start import start_studio
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.importing.image_files import png_data_uri
from ml_backend.label_studio.answers import result_for
from ml_backend.label_studio.setup import connect_backend
from ml_backend.records import CONTROL
from ml_backend.rounds.from_settings import workspace
from ml_backend.rounds.record import record_round
from ml_backend.rounds.request import RoundRequest
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.mnist_files import load_mnist

GOAL: Final = 1.2
"""Ratio of the 95th percentiles of Submit."""
NO_ROUNDS: Final = {"train_after_labels": 1_000_000, "train_after_seconds": 1e9, "queue_size": 400}
WITHOUT: Final = {"instant": False, "learn_from_pool": False, "strategy": "entropy"}
"""The other project: its model takes seconds to train, and Label Studio sees no difference."""
LOOK_INTERVAL: Final = 0.05

app = new_app()


class Person:
    """Answers the tasks of one project rightly, as the page does: the next task is asked for as Submit returns."""

    def __init__(self, digits: Digits, labels: dict[str, str]) -> None:
        self.digits, self._labels = digits, labels
        self.submits: list[float] = []
        self.nexts: list[float] = []
        self.task = self._next()

    def answer(self) -> int:
        """Submit, and ask for the next task; its id."""
        client, project = self.digits.bench.client, self.digits.id
        label = self._labels[self.task["data"]["image"]]
        body = {"result": list(result_for(label, 1.0, self.digits.question)), "lead_time": 1.5}
        path = f"api/tasks/{self.task['id']}/annotations/?project={project}"
        _, seconds = timed(lambda: client.request("POST", path, body=body, once=True))
        self.submits.append(seconds)
        self.task, seconds = timed(self._next)
        self.nexts.append(seconds)
        return int(self.task["id"])

    def _next(self) -> dict[str, Any]:
        task = self.digits.bench.client.next_task(self.digits.id)
        if task is None:
            raise RuntimeError(f"Project {self.digits.id} has no more tasks; ask for fewer answers.")
        return task


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("mnist/")] = None,
    answers: Annotated[int, typer.Option(min=10, max=300, help="Answers to each project.")] = 100,
    items: Annotated[int | None, typer.Option(min=500, help="Open digits of each project. [default: 8,000]")] = None,
    look: Annotated[float, typer.Option(min=0, help="Seconds that the person looks at a task.")] = 1.0,
) -> None:
    """Start a Label Studio and a backend, and answer two projects in turn."""
    folder = data or data_folder()
    images, digits, _ = load_mnist(folder)
    labels = {png_data_uri(image): str(digit) for image, digit in zip(images, digits, strict=True)}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as children:  # servers end first
        root = Path(temporary)
        client, settings = start_studio(children, root, extra_env=LIGHT_IMPORTS)
        bench = Bench(client, settings, folder)
        children.callback(start_backend(settings, root / "backend.log").stop)
        projects = []
        for title, params in (("with", NO_ROUNDS), ("without", NO_ROUNDS | WITHOUT)):
            messages.print(f"Digits {title} the instant loop: import, first round ...")
            made = Digits(bench, f"digits {title} the instant loop", most_open=items)
            connect_backend(client, made.id, f"http://{LOCALHOST}:{settings.port}", settings)
            bench.store(made.id).set_extra_params(params)
            record_round(workspace(settings, client), RoundRequest(made.id, "bench"))
            projects.append(Person(made, labels))
        knew = answer_in_turn(bench, *projects, answers=answers, look=look)
        show(*projects, knew)


def answer_in_turn(bench: Bench, on: Person, off: Person, *, answers: int, look: float) -> list[bool]:
    """Of each task of the first project that the loop might have moved: whether it knew the answer before."""
    store, answered, knew = bench.store(on.digits.id), set[int](), []
    name = store.current().queue or ""
    control = {row.task_id for row in store.queue(name).predictions if row.picked_by == CONTROL}
    for _ in range(answers):
        time.sleep(look / 2)
        answered.add(int(on.task["id"]))
        came = on.answer()
        time.sleep(look / 2)
        off.answer()
        wait_for(lambda: not instant_status(bench, on)["busy"], LOOK_INTERVAL)
        # What stands before it only now was moved there too late.
        before = [row.task_id for row in store.queue(name).predictions]
        ahead = set(before[: before.index(came)]) - answered
        if came not in control:
            knew.append(not ahead)
    messages.print(f"The loop's own word: {instant_status(bench, on)}", highlight=False)
    return knew


def instant_status(bench: Bench, person: Person) -> dict[str, Any]:
    """What the backend tells about the project's instant loop."""
    with requests.Session() as session:
        session.trust_env = False
        projects = bench.backend_request("GET", "status", session).json()["projects"]
    return dict(projects[str(person.digits.id)]["instant"])


def show(on: Person, off: Person, knew: list[bool]) -> None:
    """Print the figures."""
    table = Table("over the API", "median, ms", "p95, ms", "x p95", title=f"{len(on.submits)} answers each {load()}")
    for what, with_it, without in (("Submit", on.submits, off.submits), ("next task", on.nexts, off.nexts)):
        reference = percentile(without, 95)
        for name, times in (("without", without), ("with", with_it)):
            p95 = percentile(times, 95)
            row = f"{1e3 * median(times):.0f}", f"{1e3 * p95:.0f}", f"{p95 / reference:.2f}"
            table.add_row(f"{what}, {name} the instant loop", *row)
    console.print(table)
    console.print(
        f"Submit: goal {GOAL} times. Of {len(knew)} next tasks that may be moved, {sum(knew)} knew the last answer "
        f"({sum(knew) / max(len(knew), 1):.0%}); the others knew all but the last.",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    app()
