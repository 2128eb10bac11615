"""Measure the memory of the backend while a text project trains: the server, the round process, what they start.

Counted as if nothing else ran on the machine: what the processes wrote, of which a page that several hold since a fork
counts once (``Pss_Anon`` of ``/proc/PID/smaps_rollup``), and the file pages of the one that has mapped most, for all
of them map the same libraries.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from demo import start_backend
from demo_data import CONFIGS
from processes import LOCALHOST
from rich.table import Table

from bench import options
from bench.start import start_studio
from bench.timing import load, wait_for
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.config import Settings
from ml_backend.errors import DataError
from ml_backend.importing.new_tasks import send
from ml_backend.label_studio.answers import result_for
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.label_studio.setup import connect_backend, make_project
from ml_backend.rounds.log import rounds
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.headline_files import find_headlines, read_headlines
from ml_backend.store.project_store import open_project

LIMIT: Final = 1500.0
"""Megabytes that all processes together may take while a project trains."""
INTERVAL: Final = 0.2
"""Seconds between two looks."""
Size = tuple[float, float]
"""Of a process, in megabytes: what it wrote, and the file pages that it has mapped."""
LABELS: Final = ("not related", "related")

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("headlines/")] = None,
    tasks: Annotated[int, typer.Option(min=200, help="Headlines in the project.")] = 8000,
    labelled: Annotated[int, typer.Option(min=20, help="How many of them have a label.")] = 100,
) -> None:
    """Start a Label Studio and a backend, let a project of headlines train, then predict; the peak of each part.

    Exit code 1 where all processes together take more than the limit while it trains. A server that predicts has a
    model of its own; what that adds is told, and not limited.
    """
    files = find_headlines(data or data_folder())
    if files.unlabelled is None:
        raise DataError("The headlines have no unlabelled file: lsal fetch-data, or name another --data.")
    texts = [item.text for item in read_headlines(files.unlabelled)[:tasks]]
    table = Table("while", "all, MB", f"of the limit ({LIMIT:.0f} MB)", "written by each then, MB")
    peaks = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as children:  # servers end first
        client, settings = start_studio(children, Path(folder))
        project = _project(client, texts, labelled)
        backend = start_backend(settings, Path(folder) / "backend.log")
        children.callback(backend.stop)
        for name, part in (("a round trains", _trained), ("it predicts", _predicted)):
            with watched(backend.pid) as seen:
                part(client, project, settings)
            peaks.append(max(seen, key=total))
            each = ", ".join(f"{size:.0f}" for size in sorted((own for own, _ in peaks[-1]), reverse=True))
            peak = total(peaks[-1])
            table.add_row(name, f"{peak:.0f}", f"{peak / LIMIT:.0%}", each)
    table.title = f"{len(texts):,} headlines, {labelled} of them labelled {load()}"
    console.print(table)
    if total(peaks[0]) > LIMIT:
        raise typer.Exit(1)


def _project(client: LabelStudioClient, texts: list[str], labelled: int) -> int:
    """A project of these headlines, the first of them labelled in turns; its id."""
    xml = (CONFIGS / "headlines.xml").read_text(encoding="utf-8")
    question = parse_label_config(xml, project="bench")
    project = make_project(client, "memory", xml, question).id
    rows: list[dict[str, Any]] = [{"data": {"text": text}} for text in texts]
    for number, row in enumerate(rows[:labelled]):
        row["annotations"] = [{"result": list(result_for(LABELS[number % 2], 1.0, question))}]
    messages.print(f"Importing {len(rows):,} headlines ...")
    send(client, project, rows)
    return project


def _trained(client: LabelStudioClient, project: int, settings: Settings) -> None:
    """Connect the backend; its first round trains."""
    messages.print("The first round ...")
    connect_backend(client, project, f"http://{LOCALHOST}:{settings.port}", settings)

    def done() -> bool:
        store = open_project(settings.model_dir, project)
        return store is not None and bool(rounds(store)) and store.current().version is not None

    wait_for(done, INTERVAL)


def _predicted(client: LabelStudioClient, project: int, settings: Settings) -> None:
    """Label Studio asks for the predictions of some tasks."""
    messages.print("Predictions ...")
    del settings
    ids = [task.id for page in client.task_outlines(project) for task in page if not task.is_labeled][:100]
    body = {"selectedItems": {"all": False, "included": ids}, "filters": {"conjunction": "and", "items": []}}
    path = f"api/dm/actions?id=retrieve_tasks_predictions&project={project}"
    client.request("POST", path, body=body, what="Retrieve predictions")


@contextmanager
def watched(group: int) -> Iterator[list[list[Size]]]:
    """Look at the processes of a group while the block runs; one entry a look."""
    seen = [sizes(group)]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(INTERVAL):
            seen.append(sizes(group))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def sizes(group: int) -> list[Size]:
    """Each process of a process group."""
    found = []
    for folder in members(group):
        with suppress(OSError, ValueError):  # ended meanwhile
            rows = [row.split() for row in (folder / "smaps_rollup").read_text().splitlines()[1:]]
            size = {row[0]: int(row[1]) / 1024 for row in rows}
            found.append((size["Pss_Anon:"] + size["Pss_Shmem:"], size["Rss:"] - size["Anonymous:"]))
    return found


def members(group: int) -> Iterator[Path]:
    """Where ``/proc`` tells of each process of a process group."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            # After the name, which may hold anything: state, parent, group.
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                yield folder


def total(processes: Sequence[Size]) -> float:
    """Megabytes of all together."""
    return sum(own for own, _ in processes) + max((files for _, files in processes), default=0.0)


if __name__ == "__main__":
    app()
