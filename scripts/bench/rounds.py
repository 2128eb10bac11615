"""Whole rounds' share of the benchmark: seconds and memory peak of one round on a large pool, in a fresh process."""

from __future__ import annotations

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from ml_backend.models.headlines import Headlines
from ml_backend.simulation.data import Source
from ml_backend.simulation.design import Design, LabelledData
from ml_backend.simulation.headline_files import load_headlines
from ml_backend.simulation.presets import PRESETS
from ml_backend.simulation.simulate import simulate

HEADLINES: Final = 100_000


@dataclass(frozen=True)
class RoundTime:
    """One round, in CPU seconds on one thread."""

    name: str
    strategy: str
    fit_seconds: float
    select_seconds: float
    peak_mb: float
    base_mb: float
    """Before the round: Python, the libraries and the data."""


def time_rounds(data: Path) -> list[RoundTime]:
    """A round at 8,000 images and at 100,000 headlines."""
    # A process each: the peak of a process never falls.
    context = multiprocessing.get_context("spawn")
    found = []
    for action in (images_round, headlines_round):
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            found.append(executor.submit(action, data).result())
    return found


def images_round(data: Path) -> RoundTime:
    """100 labels, 8,000 images to choose from, judged on 2,000."""
    preset = PRESETS["mnist"][0]
    return _round("8,000 images", Source("mnist", data).load(), preset.design, "dropout_entropy")


def headlines_round(data: Path) -> RoundTime:
    """400 labels, 100,000 headlines to choose from, judged on 1,000."""
    texts = many_headlines(data, HEADLINES + 1_400)
    labels = np.arange(len(texts)) % 2  # what they are does not matter to the clock
    made = LabelledData("headlines", Headlines, ("a", "b"), texts, labels)
    return _round("100,000 headlines", made, Design(1_000, 400, 10, 410), "dropout_entropy")


def many_headlines(data: Path, count: int) -> list[str]:
    """Different headlines of the usual length: first halves of real ones with second halves of others."""
    words = [item.text.split() for item in load_headlines(data).unlabelled]
    rng = np.random.default_rng(0)
    found: dict[str, None] = {}
    while len(found) < count:
        for first, second in rng.integers(len(words), size=(count, 2)):
            ahead, behind = words[first], words[second]
            found.setdefault(" ".join([*ahead[: len(ahead) // 2], *behind[len(behind) // 2 :]]))
    return list(found)[:count]


def _round(name: str, data: LabelledData, design: Design, strategy: str) -> RoundTime:
    torch.set_num_threads(1)
    warm = replace(design, hyperparameters={"steps": 1})
    next(simulate(replace(data, items=data.items[: design.held_out + design.budget]), warm, strategy, 0))  # imports
    base = peak_mb()
    done = next(simulate(data, design, strategy, 0, clock=time.process_time))
    return RoundTime(name, strategy, done.fit_seconds, done.select_seconds, peak_mb(), base)


def peak_mb() -> float:
    """The most memory this process has held; getrusage's figure begins with that of the process that started it."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return (found[0] if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
