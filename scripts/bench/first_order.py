"""Time photographs in a real Label Studio: from an import to the first order, to all vectors, and the orders after."""

from __future__ import annotations

import io
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from demo_data import CONFIGS
from PIL import Image, ImageEnhance
from rich.table import Table
from served_pictures import local_files, picture_url, serve_folder

from bench import options
from bench.start import start_studio
from bench.sync import steps_of
from bench.timing import load
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.encoders.feature_store import FOLDER as FEATURES
from ml_backend.files import atomic
from ml_backend.importing.new_tasks import import_row, send
from ml_backend.importing.reading import NewTask, content_key
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.label_studio.setup import make_project
from ml_backend.rounds.from_settings import workspace
from ml_backend.rounds.report import Silent, StepTime
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import run_round
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.photo_table import FOLDER, read_photographs

ORDERED: Final = "switch"
"""The step with which an order stands."""
MEDIA_SECONDS: Final = 3_600.0
"""That a round may fetch: all is to be read in one."""
FIRST, ALL, NEXT, SYNC = 20.0, 200.0, 15.0, 6.0
"""Seconds that are allowed with 8,000 photographs on two cores: to the first order and to that of all vectors, and for
a round and a sync after that."""

app = new_app()


class Marks(Silent):
    """Seconds on the clock, and of this process's CPU, at each order of a round."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        self.began = _now()

    def step_finished(self, step: StepTime) -> None:
        """Note when an order stands."""
        if step.name == ORDERED:
            self.times.append(_now())

    def row(self, order: int, limit: float) -> tuple[str, str, str, str]:
        """Seconds and CPU seconds from the start to an order, the limit and the share of it."""
        seconds, cpu = (end - begin for end, begin in zip(self.times[order], self.began, strict=True))
        return f"{seconds:.1f}", f"{cpu:.1f}", f"{limit:g}", f"{seconds / limit:.2f}"


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("groceries/")] = None,
    pictures: Annotated[int, typer.Option(min=50, help="Photographs in the project.")] = 8_000,
    labels: Annotated[int, typer.Option(min=2, help="Given between the first round and the next.")] = 20,
) -> None:
    """Import photographs, order them, label some, order them again, and sync."""
    source = data or data_folder()
    columns = ("what", "seconds", "CPU s of the backend", "limit s", "seconds / limit")
    table = Table(*columns, title=f"{pictures:,} photographs {load()}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as children:  # servers end first
        root = Path(folder)
        known = make_pictures(source, root / "files" / "pictures", pictures)
        served = local_files(root / "files")
        client, settings = start_studio(children, root, extra_env=served, media_seconds=MEDIA_SECONDS)
        project = photo_project(client, known, root / "files" / "pictures")
        rounds = workspace(settings, client)

        def ordered(request: RoundRequest) -> Marks:
            marks = Marks()
            messages.print(steps_of(run_round(rounds, request, RunOptions(), observer=marks)))
            return marks

        messages.print("First round ...")
        first = ordered(RoundRequest(project))
        table.add_row("import to first order", *first.row(0, FIRST))
        table.add_row("import to the order of all vectors", *first.row(-1, ALL))
        _annotate(client, project, known, labels)
        table.add_row(f"next round, {labels} labels", *ordered(RoundRequest(project)).row(-1, NEXT))
        table.add_row("sync", *ordered(RoundRequest(project, train=False)).row(-1, SYNC))
        sizes = _sizes(settings.model_dir)
    console.print(table)
    console.print("On disk, MB: " + ", ".join(f"{name} {size:.1f}" for name, size in sizes.items()))


def make_pictures(source: Path, folder: Path, count: int) -> dict[str, str]:
    """So many files, no two alike; URL → label."""
    rows = read_photographs(source)
    order = np.random.default_rng(0).permutation(len(rows))
    known = {}
    for number in range(count):
        row = rows[order[number % len(rows)]]
        raw, copy = (source / FOLDER / row.path).read_bytes(), number // len(rows)
        name = f"{number:05}.jpg"
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(folder / name, _changed(raw, copy) if copy else raw)
        known[picture_url(f"{folder.name}/{name}")] = row.label
    return known


def _changed(raw: bytes, copy: int) -> bytes:
    """The same picture as another shot of it: a part, brighter or darker."""
    image, content = Image.open(io.BytesIO(raw)).convert("RGB"), io.BytesIO()
    margin = min(image.size) * copy // 20
    part = image.crop((margin, margin, image.width, image.height))
    ImageEnhance.Brightness(part).enhance(1 + 0.2 * (-1) ** copy).save(content, "JPEG", quality=90)
    return content.getvalue()


def photo_project(client: LabelStudioClient, known: dict[str, str], folder: Path) -> int:
    """A project of these photographs, none labelled; its id."""
    xml = (CONFIGS / "photos.xml").read_text(encoding="utf-8")
    question = parse_label_config(xml, project="bench")
    project = make_project(client, "first order", xml, question).id
    serve_folder(client, project, folder)
    messages.print(f"Importing {len(known):,} photographs ...")
    send(
        client, project, [import_row(NewTask({"image": url}, None, content_key(url)), question, set()) for url in known]
    )
    return project


def _annotate(client: LabelStudioClient, project: int, known: dict[str, str], count: int) -> None:
    question = parse_label_config(client.project(project).label_config, project=project)
    for _ in range(count):
        task = client.next_task(project)
        if task is None:
            return
        client.annotate(task["id"], annotation_result(known[task["data"]["image"]], question))


def _sizes(root: Path) -> dict[str, float]:
    """Megabytes of the kept features, and of all else that the backend keeps."""
    sizes = {path: path.stat().st_size / 1e6 for path in root.rglob("*") if path.is_file()}
    features = {path: size for path, size in sizes.items() if path.is_relative_to(root / FEATURES)}
    largest = max(sizes.keys() - features.keys(), key=lambda path: sizes[path])
    rest = sum(sizes.values()) - sum(features.values())
    return {"features": sum(features.values()), "all else": rest, f"of it {largest.name}": sizes[largest]}


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    app()
