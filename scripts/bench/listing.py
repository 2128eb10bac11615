"""What it costs Label Studio to list a project's predictions, or to find one, and what a Submit takes meanwhile.

The instant loop wants the ids of the predictions that it moves. Replaced orders stay for an hour, so that a project may
have those of many orders.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import typer
from demo_data import CONFIGS
from processes import LIGHT_IMPORTS
from rich.table import Table

from bench import options
from bench.start import start_studio
from bench.timing import load, timed
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.importing.new_tasks import send
from ml_backend.label_studio.answers import result_for
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.connection import new_client
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio.setup import make_project

LENGTH: Final = 200
"""Of an order."""
ANSWERED: Final = 200
"""Tasks that are answered meanwhile."""
TRIES: Final = 5

app = new_app()


@app.command()
@tell_errors
def main(
    orders: Annotated[str, typer.Option(help="Orders of which the project has predictions.")] = "5,10,25,90",
    data: Annotated[Path | None, options.MADE_UP] = None,  # noqa: ARG001
) -> None:
    """Start a Label Studio and one project, write one order after the other, and list their predictions."""
    table = Table("predictions", "listed, s", "one found, s", "Submit alone, s", "while they are listed, s")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as children:
        client, settings = start_studio(children, Path(folder), extra_env=LIGHT_IMPORTS)
        other = new_client(settings, timeout=600)
        children.callback(other.close)
        xml = (CONFIGS / "headlines.xml").read_text(encoding="utf-8")
        question: ChoiceQuestion = parse_label_config(xml, project="bench")
        project = make_project(client, "listing", xml, question).id
        send(client, project, [{"data": {"text": f"Council hears of fire {n}"}} for n in range(LENGTH + ANSWERED)])
        tasks = [task.id for page in client.task_outlines(project) for task in page]
        person = Person(client, project, question, tasks[LENGTH:])
        written = 0
        for wanted in map(int, orders.split(",")):
            for number in range(written, wanted):
                _write(client, project, question, tasks[:LENGTH], f"version-{number}")
            written = wanted
            alone = [person.submit() for _ in range(TRIES)]
            listed = min(timed(lambda: client.predictions(project))[1] for _ in range(TRIES))
            found = min(timed(lambda: client.prediction_id(tasks[0], "version-0"))[1] for _ in range(TRIES))
            listing = threading.Thread(target=other.predictions, args=(project,))
            listing.start()
            beside = [person.submit()]
            while listing.is_alive():
                beside.append(person.submit())
            row = (listed, found, median(alone), median(beside))
            table.add_row(f"{written * LENGTH:,}", *(f"{seconds:.2f}" for seconds in row))
    table.title = f"Listing predictions {load()}"
    console.print(table)


class Person:
    """Answers tasks."""

    def __init__(self, client: LabelStudioClient, project: int, question: ChoiceQuestion, tasks: list[int]) -> None:
        self._client, self._project, self._question = client, project, question
        self._tasks = iter(tasks)

    def submit(self) -> float:
        """Answer the next task; the seconds that Submit takes."""
        body = {"result": list(result_for(self._question.labels[0], 1.0, self._question)), "lead_time": 1.5}
        path = f"api/tasks/{next(self._tasks)}/annotations/?project={self._project}"
        return timed(lambda: self._client.request("POST", path, body=body, once=True))[1]


def _write(client: LabelStudioClient, project: int, question: ChoiceQuestion, tasks: list[int], version: str) -> None:
    guess = result_for(question.labels[0], 0.7, question)
    rows = [{"task": task, "result": guess, "score": 0.5, "model_version": version} for task in tasks]
    client.import_predictions(project, rows)


if __name__ == "__main__":
    app()
