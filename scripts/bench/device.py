"""Train and score the digits on the CPU and on the GPU in one run: how much faster, and whether they agree.

It imports less than the other benchmarks (torch, numpy, scipy, scikit-learn, Pillow, typer, rich), so that it runs with
``PYTHONPATH=.`` on a machine where this product is not installed.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from ml_backend import hardware
from ml_backend.hardware import Hardware
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.simulation.mnist_files import Split, load_mnist, split_mnist
from ml_backend.strategies.acquisition import entropy

LABELS: Final = tuple("0123456789")
PASSES: Final = 100
REPEATS: Final = 3

Images = NDArray[np.uint8]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Result:
    """One way to compute; seconds by the clock."""

    name: str
    first: float
    """The first fit of the process, of 10 steps: what it takes to start."""
    fit_few: float
    fit_all: float
    score: float
    passes: float
    few: MnistCnn
    probabilities: Floats
    """Of the held-out images, by the model of the few labels that was trained this way ``[N, C]``."""
    same_again: bool
    """Whether a second training gives the same weights."""


@dataclass(frozen=True)
class Digits:
    """What is trained on and scored."""

    images: Images
    targets: NDArray[np.int64]
    split: Split

    @property
    def pool(self) -> Images:
        """The images to be scored: all but the held-out ones."""
        return self.images[self.everything]

    @property
    def everything(self) -> NDArray[np.int64]:
        """First labels and pool."""
        return np.concatenate([self.split.initial, self.split.open])


def main(
    data: Annotated[Path, typer.Option(help="Folder with mnist/.")],
    initial: Annotated[int, typer.Option(help="Few labels.", min=10)] = 100,
    steps: Annotated[int, typer.Option(help="Training steps; 0: as many as in a round.", min=0)] = 0,
) -> None:
    """Print seconds by the clock and their ratio to one CPU thread, then how well the ways agree."""
    images, digits, source = load_mnist(data / "mnist")
    targets = digits.astype(np.int64)
    known = Digits(images, targets, split_mnist(len(images), initial=initial, seed=0))
    console = Console()
    results = [_measure(name, chosen, known, steps) for name, chosen in _ways()]
    many = len(known.everything)
    header = ("", "start", f"fit {initial:,}", f"fit {many:,}", f"score {many:,}", f"T = {PASSES}")
    table = Table(*header, title=f"Seconds (ratio to the first row), {source}")
    for result in results:
        table.add_row(result.name, f"{result.first:.2f}", *(_cell(result, results[0], name) for name in TIMES))
    console.print(table)
    console.print(_agreement(results, known))
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 2**20
        console.print(f"GPU: {torch.cuda.get_device_name()}, {peak:,.0f} MiB at most in use.", highlight=False)
    else:
        console.print("There is no GPU that torch sees: these are the CPU's figures alone.", highlight=False)
    console.print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}",
        highlight=False,
        soft_wrap=True,
    )


TIMES: Final = ("fit_few", "fit_all", "score", "passes")


def _ways() -> list[tuple[str, Hardware]]:
    cores = os.cpu_count() or 1
    ways = [("CPU, 1 thread", Hardware("cpu")), ("CPU, 1 thread, bfloat16", Hardware("cpu", "bfloat16"))]
    if cores > 1:
        ways.append((f"CPU, {cores} threads", Hardware("cpu", threads=cores)))
    if torch.cuda.is_available():
        ways += [("GPU", Hardware("cuda")), ("GPU, bfloat16", Hardware("cuda", "bfloat16"))]
    return ways


def _measure(name: str, chosen: Hardware, known: Digits, steps: int) -> Result:
    def fitted(positions: NDArray[np.int64], steps: int) -> MnistCnn:
        model = MnistCnn(LABELS)
        items, targets = list(known.images[positions]), known.targets[positions]
        model.fit(items, targets, seed=0, hyperparameters={"steps": steps})
        return model

    few, everything = known.split.initial, known.everything
    with hardware.using(chosen):
        first, _ = _seconds(lambda: fitted(few, 10))
        fit_few, model = _seconds(lambda: fitted(few, steps))
        again = fitted(few, steps)
        fit_all, _ = _seconds(lambda: fitted(everything, steps))
        pool = list(known.pool)
        score = min(_seconds(lambda: _anew(model).probabilities(pool))[0] for _ in range(REPEATS))
        passes = min(
            _seconds(lambda: entropy(_anew(model).probabilities(pool, samples=PASSES)))[0] for _ in range(REPEATS)
        )
        probabilities = model.probabilities(list(known.images[known.split.validation]))[:, 0]
    pairs = zip(model.state()[0].values(), again.state()[0].values(), strict=True)
    same = all(torch.equal(one, other) for one, other in pairs)
    return Result(name, first, fit_few, fit_all, score, passes, model, probabilities, same)


def _seconds(call: Callable[[], Floats | MnistCnn]) -> tuple[float, MnistCnn]:
    """By the clock; what it returns is on the CPU, so that the GPU has finished."""
    started = time.perf_counter()
    result = call()
    taken = time.perf_counter() - started
    return taken, result  # type: ignore[return-value]


def _anew(model: MnistCnn) -> MnistCnn:
    """The same model with nothing cached."""
    return MnistCnn.from_state(model.labels, *model.state())


def _cell(result: Result, base: Result, name: str) -> str:
    value, unit = getattr(result, name), getattr(base, name)
    return f"{value:.3f} ({unit / value:.1f}x)"


def _agreement(results: Sequence[Result], known: Digits) -> Table:
    """Each way's own training, and its scores of the first row's model."""
    held_out, truth = list(known.images[known.split.validation]), known.targets[known.split.validation]
    base = results[0]
    table = Table(
        "",
        "accuracy, own training",
        "same answers as the first row's",
        "same weights twice",
        "largest difference, the first row's model",
        "same answers of it",
        title=f"Agreement on {len(truth):,} held-out images",
    )
    for result, (_, chosen) in zip(results, _ways(), strict=True):
        with hardware.using(chosen):
            scored = _anew(base.few).probabilities(held_out)[:, 0]
        table.add_row(
            result.name,
            f"{(result.probabilities.argmax(axis=1) == truth).mean():.2%}",
            f"{_same(result.probabilities, base.probabilities):.2%}",
            "yes" if result.same_again else "no",
            f"{np.abs(scored - base.probabilities).max():.1e}",
            f"{_same(scored, base.probabilities):.2%}",
        )
    return table


def _same(one: Floats, other: Floats) -> float:
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())


if __name__ == "__main__":
    typer.run(main)
