"""A pool outside Label Studio: a pass over its vectors against reading them, embedding against the encoder alone.

Both sides of a ratio are measured in turns, the quickest of some tries counts, and each runs in a process of its own,
whose memory is that of all processes that it starts.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from bench import options
from bench.memory import total, watched
from bench.timing import load
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.errors import DataError
from ml_backend.simulation.data import data_folder

PASS_LIMIT, START_LIMIT, EMBED_LIMIT, MEGABYTES = 1.3, 2.0, 0.9, 3_000.0
FEW: Final = 1_000

app = new_app()


@dataclass(frozen=True)
class Done:
    """One action."""

    result: dict[str, Any]
    wall: float
    """Seconds, the start of its process included."""
    peak_mb: float
    """Of all its processes."""


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("headlines/")] = None,
    rows: Annotated[str, typer.Option(help="Sizes of the pool whose vectors are passed over.")] = "20000,100000",
    dimensions: Annotated[int, typer.Option(min=2, help="Numbers of a vector.")] = 384,
    texts: Annotated[int, typer.Option(min=0, help="Headlines that are embedded; 0: none.")] = 20_000,
    encoder: Annotated[str, typer.Option(help="Of the headlines.")] = "wordllama",
    tries: Annotated[int, typer.Option(min=1, help="Of each measurement; the quickest counts.")] = 2,
    lists: Annotated[bool, typer.Option(help="Read the vectors as lists, too, as they were kept before.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the pool is made. [default: a temporary folder]")] = None,
) -> None:
    """Make a pool of each size, pass over it, and embed headlines, each against what it cannot be quicker than."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        place = Path(made)
        sizes = [int(size) for size in rows.split(",")] if rows else []
        if sizes:
            _passes(place, sizes, dimensions, tries, lists=lists)
        if texts:
            _embedding(place, data or data_folder(), texts, encoder, tries)


def _passes(place: Path, sizes: list[int], dimensions: int, tries: int, *, lists: bool) -> None:
    _act("make_vectors", place / "few", FEW, dimensions)
    start = min(_act("one_pass", place / "few", "").result["seconds"] for _ in range(tries))
    columns = (
        "rows",
        "as lists, s",
        "read, s",
        "pass, s",
        "pass / read",
        "of CPU",
        "peak, MB",
        "with new labels, s",
        "same picks",
    )
    table = Table(*columns, title=f"A pass over N x {dimensions} {load()}")
    for size in sizes:
        vectors = place / f"vectors-{size}"
        messages.print(f"{size:,} rows")
        _act("make_vectors", vectors, size, dimensions)
        both = [(_act("read", vectors), _act("one_pass", vectors, "")) for _ in range(tries)]
        reading, passing = (min((done.result for done in each), key=_seconds) for each in zip(*both, strict=True))
        peak = max(done.peak_mb for _, done in both)
        table.add_row(
            f"{size:,}",
            _as_lists(vectors, tries) if lists else "",
            f"{reading['seconds']:.2f}",
            f"{passing['seconds']:.2f}",
            f"{passing['seconds'] / reading['seconds']:.2f} (limit {PASS_LIMIT:g})",
            f"{passing['cpu'] / reading['cpu']:.2f}",
            f"{peak:,.0f} (limit {MEGABYTES:,.0f})",
            f"{_act('one_pass', vectors, 'near').result['seconds']:.2f}",
            str(_act("one_pass", vectors, "exact").result["same"]),
        )
        shutil.rmtree(vectors)
    console.print(table)
    console.print(f"A pass over {FEW:,} rows, the first of its process: {start:.1f} s (limit {START_LIMIT:g})")


def _as_lists(vectors: Path, tries: int) -> str:
    """Seconds of reading the same vectors, kept as lists."""
    older = vectors.with_name(f"{vectors.name}-lists")
    _act("make_lists", vectors, older)
    least = min(_seconds(_act("read", older).result) for _ in range(tries))
    shutil.rmtree(older)
    return f"{least:.2f}"


def _seconds(result: dict[str, Any]) -> float:
    return float(result["seconds"])


def _embedding(place: Path, data: Path, texts: int, encoder: str, tries: int) -> None:
    messages.print(f"{texts:,} headlines by {encoder}")
    _act("make_texts", place / "texts", data, texts)
    both = [
        (
            _act("encoder_alone", place / "texts", encoder),
            _act("embedded", place / "texts", encoder, place / f"embedded-{number}"),
        )
        for number in range(tries)
    ]
    alone, whole = (min((done.result for done in each), key=_seconds) for each in zip(*both, strict=True))
    peak = max(done.peak_mb for _, done in both)
    table = Table("what", "s", "rows/s", "CPU s", title=f"{texts:,} headlines by {encoder} {load()}")
    for name, done in (("the encoder alone, a process a core", alone), ("embedded, from the file to the disk", whole)):
        used = "" if done["cpu"] is None else f"{done['cpu']:.1f}"
        table.add_row(name, f"{done['seconds']:.1f}", f"{texts / done['seconds']:,.0f}", used)
    console.print(table)
    console.print(
        f"Speed against the encoder alone: {alone['seconds'] / whole['seconds']:.2f} (at least {EMBED_LIMIT:g}); "
        f"peak {peak:,.0f} MB"
    )


def _act(name: str, *arguments: object) -> Done:
    """Run an action in a process group of its own.

    Raises:
        DataError: it failed.
    """
    command = [sys.executable, "-m", "bench.outside_pool_work", name, *map(str, arguments)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:  # noqa: S603
        with watched(process.pid) as seen:
            output, _ = process.communicate()
        wall = time.perf_counter() - started
    if process.returncode:
        raise DataError(f"The action {name} failed; what it printed stands above.")
    return Done(json.loads(output.splitlines()[-1]), wall, max(map(total, seen), default=0.0))


if __name__ == "__main__":
    app()
