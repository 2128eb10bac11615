"""Time the query strategies, MC dropout and whole rounds beside the peers, the seed's way and the machine's limit."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import torch
import typer
from rich.table import Table

from bench import options
from bench.cases import TITLES, make_arrays, one_reading, our_seconds
from bench.dropout import BAAL_IMAGES, BAAL_PASSES, fidelity, pixels, plain_network, ways
from bench.peers import cpu_seconds
from bench.rounds import many_headlines, time_rounds
from bench.seed_headlines import seeds_way, vectorised, vocabulary
from ml_backend.cli.common import console, messages, new_app, tell_errors, warn
from ml_backend.files import atomic
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.headline_files import RELATED, load_headlines
from ml_backend.simulation.mnist_files import load_mnist, split_mnist

SCRIPTS: Final = Path(__file__).resolve().parents[1]
PEERS_PYTHON: Final = SCRIPTS.parent / ".venv-peers" / "bin" / "python"
IMAGES: Final = 8_000
SEED_POOL: Final = 10_000
LARGE_POOL: Final = 100_000
DROPOUT: Final = "dropout"
SEED_LABELS: Final = 400

app = new_app()
Rows = list[list[str]]
NamedRows = tuple[str, list[str], Rows]
"""Title, header, rows."""
Part = Literal["strategies", "dropout", "seed_headlines", "rounds"]


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("mnist/ and headlines/")] = None,
    only: Annotated[Part | None, typer.Option(help="A part of the tables alone.")] = None,
    markdown: Annotated[Path | None, options.MARKDOWN] = None,
) -> None:
    """Print each figure with its ratio to ours: CPU seconds of the fastest of some runs, one thread on every side.

    The peers are timed in their own environment (.venv-peers, which `make bench` and `make test` set up).
    """
    folder = data or data_folder()
    torch.set_num_threads(1)
    tables = [table for name, make in TABLES.items() if only in (None, name) for table in make(folder)]
    for title, header, rows in tables:
        table = Table(*header, title=title)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print(machine(), highlight=False, soft_wrap=True)
    if markdown:
        _write(markdown, tables)


def _strategies(folder: Path) -> list[NamedRows]:
    arrays = make_arrays()
    peers = _peer_seconds(folder, arrays, list(TITLES))
    return [("Strategies", ["what", "who", "CPU s", "x ours"], _strategy_rows(arrays, peers))]


def _dropout(folder: Path) -> list[NamedRows]:
    model, images = _trained(folder)
    peers = _peer_seconds(folder, make_arrays(), [DROPOUT])
    header = ["what", "CPU s", "x one pass", "x ours T = 100"]
    return [
        ("MC dropout, 8,000 images", header, _dropout_rows(model, images, peers)),
        ("Score kept of the best ten, by T = 800", ["strategy", "T", "kept"], _fidelity_rows(model, images)),
    ]


def machine() -> str:
    """The date, the processor and the libraries."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor()
    )
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {model}, {os.cpu_count()} cores, {versions}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@cache
def _trained(folder: Path) -> tuple[MnistCnn, Any]:
    images, digits, _ = load_mnist(folder)
    split = split_mnist(len(images), initial=100, seed=0)
    model = MnistCnn([str(digit) for digit in range(10)])
    model.fit(list(images[split.initial]), digits[split.initial].astype(np.int64), seed=0)
    return model, images[split.open][:IMAGES]


def _peer_seconds(data: Path, arrays: dict[str, Any], cases: Sequence[str]) -> dict[str, dict[str, float]]:
    if not PEERS_PYTHON.exists():
        warn(f"No peers: {PEERS_PYTHON} is missing (make .venv-peers/.ready); only our own figures follow.")
        return {}
    model, images = _trained(data)
    messages.print(f"The peers ({', '.join(cases)}) ...", highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        extra = {"images": pixels(images[:BAAL_IMAGES]), "iterations": np.array(BAAL_PASSES)}
        atomic.write_with(Path(folder) / "arrays.npz", lambda staged: np.savez(staged, **arrays, **extra))
        atomic.write_with(Path(folder) / "network.pt", partial(torch.save, plain_network(model)))
        code = "import sys; sys.path.insert(0, sys.argv[1]); from bench import peers; peers.main(*sys.argv[2:])"
        answer = subprocess.run(  # noqa: S603 - our own code in our own environment
            [PEERS_PYTHON, "-c", code, SCRIPTS, folder, *cases],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, dict[str, float]] = {}
    for case, entries in json.loads(answer.stdout).items():
        for peer, seconds in entries.items():
            if isinstance(seconds, str):
                warn(f"{peer} cannot do {case}: {seconds}")
            else:
                found.setdefault(case, {})[peer] = seconds
    return found


def _strategy_rows(arrays: dict[str, Any], peers: dict[str, dict[str, float]]) -> Rows:
    rows = []
    limit = one_reading(arrays)
    for case, ours in our_seconds(arrays).items():
        rows.append([TITLES[case], "ours", _seconds(ours), "1.0"])
        if case == "entropy":
            rows.append([TITLES[case], "reading the array once", _seconds(limit), _ratio(limit, ours)])
        rows += [[TITLES[case], peer, _seconds(s), _ratio(s, ours)] for peer, s in peers.get(case, {}).items()]
    return rows


def _dropout_rows(model: MnistCnn, images: Any, peers: dict[str, dict[str, float]]) -> Rows:
    found = ways(model, images, peers.get(DROPOUT, {}).get("baal"))
    seconds = {way.name: way.seconds for way in found}
    passes = {kind: seconds[f"deterministic pass, {kind}"] for kind in ("float32", "bfloat16")}
    best, ours = min(passes.values()), seconds["ours, T = 100, float32"]
    rows = []
    for way in found:
        own = next((one for kind, one in passes.items() if way.name.endswith(kind)), best)
        rows.append([way.name, _seconds(way.seconds), _ratio(way.seconds, own), _ratio(way.seconds, ours)])
    return rows


def _fidelity_rows(model: MnistCnn, images: Any) -> Rows:
    return [[name, str(passes), f"{kept:.3f}"] for name, passes, kept in fidelity(model, images)]


def _seed_headlines(folder: Path) -> list[NamedRows]:
    header = ["labels", "scored", "who", "CPU s", "x ours", "apart in float64"]
    return [("The seed's headline algorithm: train, then score", header, _seed_headline_rows(folder))]


def _seed_headline_rows(folder: Path) -> Rows:
    data = load_headlines(folder)
    rows, large = [], many_headlines(folder, LARGE_POOL)
    pool = [item.text for item in data.unlabelled][:SEED_POOL]
    for labelled in (data.training, (*data.training, *data.evaluation)[:SEED_LABELS]):
        texts = [item.text for item in labelled]
        targets = np.array([item.label == RELATED for item in labelled], dtype=np.int64)
        words = vocabulary([*texts, *pool])
        calls = [partial(way, texts, targets, pool, words, 0) for way in (vectorised, seeds_way)]
        # In float32 their rounding alone, 4,000 steps of it, sets them 1e-4 apart.
        ours, theirs = (call(dtype="float64") for call in calls)
        seconds = [cpu_seconds(call) for call in calls]
        apart = f"{np.abs(ours - theirs).max():.0e}"
        for name, taken in zip(("ours", "the seed, item by item"), seconds, strict=True):
            rows.append([str(len(texts)), f"{len(pool):,}", name, _seconds(taken), _ratio(taken, seconds[0]), apart])
        words = vocabulary([*texts, *large])
        taken = cpu_seconds(partial(vectorised, texts, targets, large, words, 0))
        rows.append([str(len(texts)), f"{len(large):,}", "ours", _seconds(taken), "1.0", ""])
    return rows


def _rounds(folder: Path) -> list[NamedRows]:
    header = ["pool", "strategy", "fit, CPU s", "choose, CPU s", "peak, MB", "before, MB"]
    rows = [
        [r.name, r.strategy, f"{r.fit_seconds:.1f}", f"{r.select_seconds:.2f}", f"{r.peak_mb:.0f}", f"{r.base_mb:.0f}"]
        for r in time_rounds(folder)
    ]
    return [("One round", header, rows)]


def _seconds(value: float) -> str:
    return f"{value:.4f}" if value < 1 else f"{value:.1f}"


def _ratio(value: float, unit: float) -> str:
    return f"{value / unit:.1f}" if value < 100 * unit else f"{value / unit:,.0f}"


TABLES: Final[dict[str, Callable[[Path], list[NamedRows]]]] = {
    "strategies": _strategies,
    "dropout": _dropout,
    "seed_headlines": _seed_headlines,
    "rounds": _rounds,
}


def _write(path: Path, tables: Sequence[NamedRows]) -> None:
    lines = [f"{machine()}.", ""]
    for title, header, rows in tables:
        lines += [f"### {title}", "", f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
        lines += [*(f"| {' | '.join(row)} |" for row in rows), ""]
    atomic.write_text(path, "\n".join(lines))


if __name__ == "__main__":
    app()
