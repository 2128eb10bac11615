"""Whether a large pool behind a project is felt in Label Studio: next task and Submit beside a small one, in turns.

Both projects are alike but for their pools: some rows became tasks, a model was trained, an order stands, and a backend
is connected. The pools are made up: headlines of words drawn again, and vectors near theirs. Ten million of them take
5 GB of the disk, and stay in memory where there is room.

Both are answered in turns at rest, while rounds of the one run, and while rounds of the other do, these by turns too.
So two things can be told apart: what a project's own pool costs whoever answers there, since its rounds are longer, and
what any round costs everybody on the same machine.

p95 is one of few slow answers, so that its ratio has an interval: turns are drawn anew, many times (Efron 1979).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import numpy as np
import requests
import typer
from demo import start_backend
from demo_data import CONFIGS
from numpy.typing import NDArray
from processes import LIGHT_IMPORTS, LOCALHOST
from rich.table import Table

from bench.memory import members
from bench.start import start_studio
from bench.timing import load, percentile, timed, wait_for
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.config import Settings
from ml_backend.errors import DataError
from ml_backend.label_studio.answers import result_for
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio.setup import connect_backend, make_project
from ml_backend.pool.document import Pool, connect
from ml_backend.pool.encoders import TEXT, PoolEncoder
from ml_backend.pool.round_requests import workspace
from ml_backend.pool.vectors import Vectors, folder_of
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import run_round
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.registry import stores_of

ENCODER: Final = PoolEncoder(TEXT, "wordllama")
PART: Final = 100_000
DIFFERENT: Final = 500
"""Texts; ids and vectors are all different."""
SPREAD: Final = 0.3
"""How far vectors of one text lie from each other, in the spread of all numbers."""
WORDS: Final = ("flood", "cricket", "fire", "council", "storm", "market", "crash", "festival", "police", "farmers")
FIRST: Final = 20
"""Answers before a model is trained."""
GOAL: Final = 1.1
QUIET: Final = {
    "train_after_labels": 1_000_000,
    "train_after_seconds": 30 * 86_400.0,
    "hyperparameters": {"encoder": ENCODER.name},
    "text_model": "sentences",
}
"""No round starts by itself. Said to Label Studio as well, which tells us its own when it connects the backend."""
WARM: Final = 5
"""Answers in each project that are not counted."""
SEED: Final = 0
DRAWS: Final = 2_000
"""Of the turns, for an interval."""
READ_ANSWERS: Final = 20
"""Answers by which bytes are counted: these vary little."""
LOOK_INTERVAL: Final = 0.1
SETTLING: Final = 2.0
"""Seconds in which the backend hears of what just happened."""

app = new_app()


@dataclass
class Side:
    """One project, and what it took."""

    client: LabelStudioClient
    id: int
    question: ChoiceQuestion
    rows: int
    next: list[float] = field(default_factory=list)
    submit: list[float] = field(default_factory=list)

    def answer(self) -> None:
        """Get the next task and answer it, as the page does."""
        task, asked = timed(lambda: self.client.next_task(self.id))
        label = self.question.labels[task["id"] % 2]
        body = {"result": list(result_for(label, 1.0, self.question)), "lead_time": 1.5}
        path = f"api/tasks/{task['id']}/annotations/?project={self.id}"
        _, sent = timed(lambda: self.client.request("POST", path, body=body, once=True))
        self.next.append(asked)
        self.submit.append(sent)


class Backend:
    """The backend, asked as Label Studio asks it."""

    def __init__(self, settings: Settings) -> None:
        self._url = f"http://{LOCALHOST}:{settings.port}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = (str(settings.basic_auth_user), "bench")

    def tell(self, event: dict[str, Any]) -> None:
        """Send an event."""
        self._session.post(f"{self._url}/webhook", json=event, timeout=60).raise_for_status()

    def is_quiet(self, sides: Sequence[Side]) -> bool:
        """Whether it has heard of all projects, and runs no round."""
        known = self._session.get(f"{self._url}/status", timeout=60).json()["projects"]
        return all(str(side.id) in known and not known[str(side.id)]["running"] for side in sides)


@app.command()
@tell_errors
def main(
    rows: Annotated[str, typer.Option(help="Rows of the two pools.")] = "1000,10000000",
    answers: Annotated[
        int, typer.Option(help="Answers in each project: at rest, and beside each project's rounds.", min=5)
    ] = 300,
    data: Annotated[Path | None, typer.Option(help="Not used: the pools are made up.")] = None,  # noqa: ARG001
) -> None:
    """Start a Label Studio and a backend, two projects with pools, and answer in both, in turns."""
    sizes = [int(size) for size in rows.split(",")]
    wanted = FIRST + WARM + (1 + len(sizes)) * answers + READ_ANSWERS
    if min(sizes) < wanted:
        raise DataError(
            f"{answers} answers in each part take {wanted:,} rows of a pool: fewer --answers, or more --rows."
        )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as children:  # servers end first
        root = Path(folder)
        client, settings = start_studio(children, root, extra_env=LIGHT_IMPORTS, queue_size=wanted)
        rounds = workspace(settings, client)
        sides = [_made(client, settings, rounds, root / str(size), size) for size in sizes]
        server = start_backend(settings, root / "backend.log")
        children.callback(server.stop)
        for side in sides:
            connect_backend(client, side.id, f"http://{LOCALHOST}:{settings.port}", settings, QUIET)
        backend = Backend(settings)
        time.sleep(SETTLING)
        wait_for(lambda: backend.is_quiet(sides), LOOK_INTERVAL)  # it has made a first round of its own
        _in_turns(sides, WARM)
        tables = [_told(_in_turns(_fresh(sides), answers), "nothing else")]
        reading = Table("pool, rows", "bytes", "reads", title="What the backend reads of files, an answer")
        for side in sides:
            reading.add_row(
                f"{side.rows:,}", *_reading(server.pid, side, READ_ANSWERS, lambda: backend.is_quiet(sides))
            )
        beside = _beside_rounds(backend, sides, answers)
        tables += [_told(beside[n], f"rounds over {side.rows:,} rows") for n, side in enumerate(sides)]
        tables.append(_told([beside[n][n] for n in range(len(sides))], "rounds of their own"))
    for table in (*tables, reading):
        console.print(table)


def _made(client: LabelStudioClient, settings: Settings, rounds: Workspace, folder: Path, size: int) -> Side:
    """A project with a pool, whose first model is trained and whose order stands."""
    messages.print(f"A project with a pool of {size:,} rows ...", highlight=False)
    xml = (CONFIGS / "headlines.xml").read_text(encoding="utf-8")
    question: ChoiceQuestion = parse_label_config(xml, project="bench")
    project = make_project(client, f"A pool of {size}", xml, question)
    store = stores_of(settings).get(client.project(project.id).uid)
    store.set_extra_params(QUIET)
    _write(folder, Vectors(folder_of(store, ENCODER.name)), size)
    schema = {"id": "String", "text": "String"}
    connect(store, Pool(str(folder), "parquet", "id", {question.field: "text"}, schema, rows=size))
    side = Side(client, project.id, question, size)
    _round(rounds, side)
    for _ in range(FIRST):
        side.answer()
    _round(rounds, side)
    return side


def _round(rounds: Workspace, side: Side) -> None:
    report, seconds = timed(lambda: run_round(rounds, RoundRequest(side.id)))
    messages.print(f"A round over {side.rows:,} rows: {seconds:.1f} s; {'; '.join(report.warnings)}", highlight=False)


def _write(folder: Path, vectors: Vectors, size: int) -> None:
    """The table of a pool, and its vectors: no two alike, but each near that of its text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(SEED)
    texts = [" ".join(rng.choice(WORDS, 6)) + f" {number}" for number in range(DIFFERENT)]
    numbers = ENCODER.vectors(texts)[0]
    vectors.start(ENCODER.about())
    folder.mkdir()
    for part, start in enumerate(range(0, size, PART)):
        places = np.arange(start, min(start + PART, size)) % DIFFERENT
        ids = pa.array([f"row-{row}" for row in range(start, start + len(places))])
        pq.write_table(pa.table({"id": ids, "text": pa.array(texts).take(places)}), folder / f"{part:05d}.parquet")
        beside = rng.standard_normal((len(places), numbers.shape[1]), np.float32) * (SPREAD * numbers.std())
        vectors.add(ids, (numbers[places] + beside).astype(np.float16))


def _reading(group: int, side: Side, answers: int, quiet: Callable[[], bool]) -> tuple[str, str]:
    """Bytes and calls, an answer, with which the processes of a group read files while one project is answered."""
    before = _read_so_far(group)
    for _ in range(answers):
        side.answer()
    time.sleep(SETTLING)
    wait_for(quiet, LOOK_INTERVAL)
    size, calls = (_read_so_far(group) - before) / answers
    return f"{size:,.0f}", f"{calls:,.0f}"


def _read_so_far(group: int) -> NDArray[np.float64]:
    found = np.zeros(2)
    for process in members(group):
        with suppress(OSError):  # ended meanwhile
            rows = dict(row.split(": ") for row in (process / "io").read_text().splitlines())
            found += (int(rows["rchar"]), int(rows["syscr"]))
    return found


def _fresh(sides: Sequence[Side]) -> Sequence[Side]:
    return [replace(side, next=[], submit=[]) for side in sides]


def _beside_rounds(backend: Backend, sides: Sequence[Side], count: int) -> Sequence[Sequence[Side]]:
    """So many answers in each beside each one's rounds ``[side with rounds][side answered]``, a round at a time."""
    found = [_fresh(sides) for _ in sides]
    while (left := max(count - len(fresh[0].next) for fresh in found)) > 0:
        for side, fresh in zip(sides, found, strict=True):
            if count - len(fresh[0].next) == left:  # the one that has fewest
                backend.tell({"action": "START_TRAINING", "project": {"id": side.id}})
                wait_for(lambda: not backend.is_quiet(sides), LOOK_INTERVAL)
                _in_turns(fresh, left, enough=lambda: backend.is_quiet(sides))
                wait_for(lambda: backend.is_quiet(sides), LOOK_INTERVAL)
    return found


def _in_turns(sides: Sequence[Side], count: int, enough: Callable[[], bool] | None = None) -> Sequence[Side]:
    """So many answers in each, one here and one there, each first in turns; fewer where it is enough before."""
    for number in range(count):
        if enough is not None and number and enough():
            break
        for side in sides if number % 2 else reversed(sides):
            side.answer()
    return sides


def _told(sides: Sequence[Side], what: str) -> Table:
    table = Table("", "pool, rows", "answers", "median, ms", "x", "p95, ms", "x (95 %)")
    table.title = f"Beside {what} (goal: at most {GOAL}) {load()}"
    for name in ("next", "submit"):
        first: list[float] = getattr(sides[0], name)
        for side in sides:
            times: list[float] = getattr(side, name)
            middle, p95, (least, most) = median(times), percentile(times, 95), _interval(times, first)
            ratio = f"{p95 / percentile(first, 95):.2f} ({least:.2f} to {most:.2f})"
            row = (f"{1e3 * middle:.0f}", f"{middle / median(first):.2f}", f"{1e3 * p95:.0f}", ratio)
            table.add_row(name, f"{side.rows:,}", str(len(times)), *row)
    return table


def _interval(times: Sequence[float], first: Sequence[float]) -> tuple[float, float]:
    """Where 95 % of the ratios of two p95 lie if the turns are drawn anew."""
    turns = np.random.default_rng(SEED).integers(len(times), size=(DRAWS, len(times)))
    of, to = (np.percentile(np.asarray(each)[turns], 95, axis=1) for each in (times, first))
    least, most = np.percentile(of / to, [2.5, 97.5])
    return float(least), float(most)


if __name__ == "__main__":
    app()
