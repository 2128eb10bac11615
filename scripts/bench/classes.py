"""What many classes cost: the parts of a round on made-up vectors, each in a fresh process."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.table import Table

from bench import options
from bench.rounds import peak_mb
from ml_backend.cli.common import console, new_app, tell_errors

DIMENSIONS: Final = 384
SPREAD: Final = 1.0
"""Of the items of a class about its centre, whose length is 1: neighbours overlap."""
PASSES: Final = 20

app = new_app()


@dataclass(frozen=True)
class Size:
    """What is made up."""

    classes: int
    labels: int
    pool: int


@dataclass(frozen=True)
class Cost:
    """Of one part, in CPU seconds on one thread, and MB beyond the data."""

    name: str
    seconds: float
    peak_mb: float


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.MADE_UP] = None,
    classes: Annotated[int, typer.Option(min=2, help="How many classes.")] = 1_000,
    labels: Annotated[int, typer.Option(min=4, help="Labels to learn from.")] = 3_000,
    pool: Annotated[int, typer.Option(min=10, help="Items to choose from.")] = 10_000,
    strategies: Annotated[bool, typer.Option(help="Each strategy too.")] = True,
) -> None:
    """CPU seconds and memory of learning from so many classes, and of choosing 200 of the pool by each strategy."""
    del data
    size = Size(classes, labels, pool)
    from ml_backend.strategies.registry import STRATEGIES

    made_up = {"probabilities", "samples", "embeddings"}
    chosen = [name for name, one in STRATEGIES.items() if "probabilities" in one.needs and one.needs <= made_up]
    chosen = chosen if strategies else []
    parts: list[tuple[Callable[..., Cost], tuple[Any, ...]]] = [(learning, ()), (spreading, ())]
    parts += [(choosing, (name,)) for name in chosen]
    table = Table("part", "CPU s", "MB", title=f"{classes:,} classes, {labels:,} labels, {pool:,} items to choose from")
    context = multiprocessing.get_context("spawn")
    for part, arguments in parts:
        with ProcessPoolExecutor(1, mp_context=context) as executor:  # the peak of a process never falls
            cost = executor.submit(part, size, *arguments).result()
        table.add_row(cost.name, f"{cost.seconds:.1f}", f"{cost.peak_mb:,.0f}")
        console.print(f"{cost.name}: {cost.seconds:.1f} s, {cost.peak_mb:,.0f} MB", highlight=False)
    console.print(table)


def vectors(size: Size, count: int, stream: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Items ``[N, D]`` and their classes ``[N]``, as even as can be."""
    centres = np.random.default_rng(0).standard_normal((size.classes, DIMENSIONS)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rng = np.random.default_rng([1, stream])
    classes = np.arange(count) % size.classes
    noise = rng.standard_normal((count, DIMENSIONS)).astype(np.float32) * np.float32(SPREAD / DIMENSIONS**0.5)
    return centres[classes] + noise, classes


def _measured(name: str, act: Callable[[], object]) -> Cost:
    import torch

    torch.set_num_threads(1)
    base, started = peak_mb(), time.process_time()
    act()
    return Cost(name, time.process_time() - started, peak_mb() - base)


def learning(size: Size) -> Cost:
    """The head's penalty by cross-validation, and its optimum."""
    import torch

    from ml_backend.models.logistic_regression import Examples, choose_penalty, minimise

    x, y = vectors(size, size.labels, 0)
    examples = Examples(torch.from_numpy(x), torch.eye(size.classes)[y], torch.ones(len(x)))
    return _measured("learning", lambda: minimise(examples, choose_penalty(examples, 200), 200))


def spreading(size: Size) -> Cost:
    """Labels spread over the pool's graph."""
    from ml_backend.semi_supervised import graph

    labelled, classes = vectors(size, size.labels, 0)
    both = np.vstack([labelled, vectors(size, size.pool, 1)[0]])

    def act() -> None:
        weights = graph.affinity(graph.nearest([both], both, 11))
        places = np.arange(size.labels)
        mass = graph.label_mass(weights, places, classes, size.classes)
        graph.label_probabilities(mass, places, classes, np.full(size.classes, 1 / size.classes))

    return _measured("spreading", act)


class Sure:
    """Probabilities as of a model that is fitted: dropout is noise on its logits."""

    def __init__(self, size: Size) -> None:
        self.labels = tuple(map(str, range(size.classes)))
        self._centres = vectors(Size(size.classes, 0, 0), size.classes, 2)[0]

    def probabilities(self, items: np.ndarray[Any, Any], *, samples: int, seed: int) -> np.ndarray[Any, Any]:
        """``[N, K, C]``."""
        rng = np.random.default_rng(seed)
        logits = np.repeat((5 * items @ self._centres.T)[:, None], samples, axis=1)
        logits += rng.standard_normal(logits.shape, dtype=np.float32)
        np.exp(logits - logits.max(axis=2, keepdims=True), out=logits)
        logits /= logits.sum(axis=2, keepdims=True)
        return logits


def choosing(size: Size, strategy: str) -> Cost:
    """The pool scored, and 200 chosen."""
    from ml_backend.config import ProjectSettings
    from ml_backend.selection.scoring import score_items
    from ml_backend.strategies.inputs import StrategyInputs
    from ml_backend.strategies.registry import STRATEGIES

    one, model = STRATEGIES[strategy], Sure(size)
    items, ids = vectors(size, size.pool, 1)[0], np.arange(size.pool)
    settings = ProjectSettings(strategy=strategy, samples=PASSES)

    def act() -> None:
        scores = score_items(model, items, ids, settings, keep=not one.itemwise)  # type: ignore[arg-type]
        if scores.probabilities is None or scores.kept is None:
            return
        rows, rng = scores.kept, np.random.default_rng(0)
        known = StrategyInputs(ids[rows], rng.random(len(rows)), rng.random(len(rows)), 0, size.classes)
        inputs = replace(known, probabilities=scores.probabilities, embeddings=items[rows])
        if one.pick is not None:
            one.pick(inputs, 200)
        elif one.score is not None:
            one.score(inputs)

    return _measured(strategy, act)


if __name__ == "__main__":
    app()
