"""Draw learning curves of our strategies and the peers' on the same features, with the same final model."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from scipy import sparse
from scipy.stats import t as student

from bench import options
from bench.learning_loop import Picker, State, Steps, run
from bench.strategies import PEERS_PYTHON, SCRIPTS, machine
from ml_backend.cli.common import console, new_app, tell_errors, warn
from ml_backend.encoders.raw import raw_embeddings
from ml_backend.encoders.text_vectors import encode
from ml_backend.files import atomic
from ml_backend.instant.queue import MOVABLE, WORTH_IT, InstantQueue
from ml_backend.models.several import different_answers
from ml_backend.project_settings import ProjectSettings
from ml_backend.records import Prediction
from ml_backend.selection.choose import choose
from ml_backend.selection.ordering import inputs_of, queue_scores
from ml_backend.semi_supervised.graph import NEIGHBOURS, Neighbourhood, affinity, coordinates, nearest
from ml_backend.semi_supervised.shares import set_rates
from ml_backend.simulation.choose import one_by_one
from ml_backend.simulation.data import Source, data_folder, load_ag_news, load_digits
from ml_backend.strategies.auto_phases import is_cold
from ml_backend.strategies.novelty import unit_features
from ml_backend.strategies.registry import STRATEGIES

POOL, TEST, VALIDATION = 2_000, 2_000, 500
STEPS: Final = Steps()
SPANS: Final = ((10, 100), (100, 300))
SWITCH: Final = 50
RANDOM: Final = "ours random (warm)"
COLD: Final = ("typiclust", "probcover", "auto")

app = new_app()
Curves = dict[str, dict[str, dict[str, list[list[float]]]]]


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("mnist/ and ag_news/")] = None,
    splits: Annotated[int, typer.Option(min=2, help="Draws of pool and test items.")] = 5,
    keep: Annotated[Path | None, options.RESUMED] = None,
    markdown: Annotated[Path | None, options.MARKDOWN] = None,
) -> None:
    """Print the mean accuracy from 10 to 100 and from 100 to 300 labels of each strategy, 10 labels a round.

    Features are fixed (digits: principal components; titles: a pretrained encoder's), and the final model is one
    logistic regression: only the choice of labels differs. Differences to our best are paired by split.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = folder / f"curves-{splits}.npz"
        if not arrays.exists():
            made_of = _arrays(data or data_folder(), splits)
            atomic.write_with(arrays, lambda staged: np.savez(staged, **made_of))
        run(arrays, {"warm": ours(STRATEGIES), "cold": _cold()}, folder / f"ours-{splits}.json")
        found = with_peers(arrays, folder, splits, "learning_peers")
    lines = [f"{machine()}; {splits} splits.", ""]
    for name, starts in found.items():
        lines += _table(name, starts)
    if markdown:
        atomic.write_text(markdown, "\n".join(lines))
    console.print(machine(), highlight=False, soft_wrap=True)


def _arrays(folder: Path, splits: int) -> dict[str, Any]:
    arrays: dict[str, Any] = {"steps": np.array(STEPS)}
    for name, load in (("digits", load_digits), ("titles", load_ag_news)):
        source = load(Source(name, folder))
        if name == "digits":
            rows = raw_embeddings(source.items, seed=0)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        else:
            rows = encode("minilm", source.items)
        arrays[f"features_{name}"] = rows
        arrays[f"targets_{name}"] = source.targets
        orders = [np.random.default_rng(seed).permutation(len(rows)) for seed in range(splits)]
        arrays[f"pools_{name}"] = np.stack([order[:POOL] for order in orders])
        arrays[f"tests_{name}"] = np.stack([order[POOL : POOL + TEST] for order in orders])
        arrays[f"validations_{name}"] = np.stack([order[POOL + TEST :][:VALIDATION] for order in orders])
    return arrays


def ours(names: Iterable[str]) -> dict[str, Picker]:
    """Our strategies, on what a state knows."""
    graph = _Graph()

    def by(name: str) -> Picker:
        def pick(s: State) -> NDArray[np.integer]:
            needs = STRATEGIES[name].needs
            known: dict[str, Any] = {"classes": s.classes, "embeddings": s.features[s.open]}
            known["several"] = s.targets.ndim == 2
            known["labelled"] = s.features[s.labelled]
            if s.model is not None:
                known["probabilities"] = s.passes() if "samples" in needs else s.probabilities[:, None]
            if "features" in needs:
                known["features"], known["labelled_features"] = unit_features(known["embeddings"], known["labelled"])
            if "neighbourhood" in needs:
                known["neighbourhood"] = graph.around(s)
            if "validation" in needs and s.model is not None:
                known["validation"], answers = s.validation
                known["wrong"] = s.model.predict(known["validation"]) != answers
            return np.searchsorted(s.open, choose(name, inputs_of(s.open, s.seed, **known), s.count).task_ids)

        return pick

    return {f"ours {name}": by(name) for name in names}


def between_rounds(worth_it: float = WORTH_IT) -> Picker:
    """Our `auto` as a project has it: a round makes a long queue, and each answer moves what comes next in it.

    ``worth_it`` is that of `InstantQueue`; of infinity nothing is moved.
    """
    graph, auto = _Graph(), ours(["auto"])["ours auto"]

    def pick(s: State) -> NDArray[np.integer]:
        if is_cold(len(s.labelled), different_answers(s.targets), s.classes):
            return auto(s)
        places = s.open[auto(replace(s, count=ProjectSettings().queue_size))]
        scores = queue_scores(1 - np.arange(len(places)) / len(places)).tolist()
        rows = [Prediction(task, None, 0.0, at, MOVABLE) for task, at in zip(places.tolist(), scores, strict=True)]
        queue = InstantQueue(graph.around(s), s.open, rows, worth_it=worth_it)
        return np.searchsorted(s.open, one_by_one(queue, s.count, s.answer))

    return pick


def _cold() -> dict[str, Picker]:
    margin, pickers = ours(["margin"])["ours margin"], ours(COLD)

    def then_margin(begin: Picker) -> Picker:
        return lambda s: (begin if len(s.labelled) < SWITCH else margin)(s)

    alone = {name: pickers[name] for name in ("ours typiclust", "ours auto")}
    return alone | {f"{name}, then margin": then_margin(pick) for name, pick in pickers.items()}


class _Graph:
    """The neighbour graph of a pool's features, made once a pool."""

    def __init__(self) -> None:
        self._features: NDArray[np.float64] | None = None
        self._made: tuple[sparse.csr_matrix, Callable[[], NDArray[np.float32]]] | None = None

    def around(self, s: State) -> Neighbourhood:
        """The state's items in it."""
        rows = s.features.astype(np.float32)
        if self._made is None or self._features is not s.features:
            weights = affinity(nearest([rows], rows, NEIGHBOURS + 1))
            self._features, self._made = s.features, (weights, cache(partial(coordinates, weights)))
        model = s.probabilities.astype(np.float32) if s.model is not None else None
        prior = np.full(s.classes, 1.0 / s.classes)
        if s.targets.ndim == 2:
            prior = set_rates(s.targets)
        return Neighbourhood(*self._made, s.open, s.labelled, s.targets, prior, model, rows=rows)


def with_peers(arrays: Path, folder: Path, splits: int, module: str) -> Curves:
    """Our curves that are there, and the peers', which a module of this folder draws in their environment."""
    found = _read(folder / f"ours-{splits}.json")
    for name, starts in _peer_curves(arrays, folder / f"peers-{splits}.json", module).items():
        for start, curves in starts.items():
            found[name].setdefault(start, {}).update(curves)
    return found


def _peer_curves(arrays: Path, result: Path, module: str) -> Curves:
    if not PEERS_PYTHON.exists():
        warn(f"No peers: {PEERS_PYTHON} is missing (make .venv-peers/.ready); only our own curves follow.")
        return {}
    code = f"import sys; sys.path[:0] = sys.argv[1:3]; from bench import {module} as b; b.main(*sys.argv[3:])"
    done = subprocess.run(  # noqa: S603 - our own code in our own environment
        [PEERS_PYTHON, "-c", code, SCRIPTS, SCRIPTS.parent, arrays, result],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        warn("A peer failed (above); the curves drawn before it follow.")
    return _read(result) if result.exists() else {}


def _read(path: Path) -> Curves:
    found: Curves = json.loads(path.read_text(encoding="utf-8"))
    return found


def areas(curves: Sequence[Sequence[float]], span: tuple[int, int], steps: Steps = STEPS) -> NDArray[np.float64]:
    """Mean quality over a span of labels, of each split ``[S]``: the area under the curve by its width."""
    first, last = ((labels - steps.first) // steps.batch for labels in span)
    part = np.asarray(curves, dtype=np.float64)[:, first : last + 1]
    return np.trapezoid(part, axis=1) / (last - first)


def paired(ours: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Mean of the differences over the splits and half the width of its 95 % interval (Student)."""
    gaps = ours - other
    half = student.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    return float(gaps.mean()), float(half)


def _table(name: str, starts: dict[str, dict[str, list[list[float]]]]) -> list[str]:
    every = {f"{strategy} ({start})": curves for start, own in starts.items() for strategy, curves in own.items()}
    best = {
        span: max((key for key in every if key.startswith("ours")), key=lambda key: areas(every[key], span).mean())
        for span in SPANS
    }
    header = ["strategy (first labels)"]
    for low, high in SPANS:
        header += [f"{low} to {high}, %", "our best leads by", "better than random by"]
    table, lines = Table(*header, title=name), [f"### {name}", "", f"| {' | '.join(header)} |", f"|{' --- |' * 7}"]
    for key in sorted(every, key=lambda key: -areas(every[key], SPANS[0]).mean()):
        row = [key]
        for span in SPANS:
            own = areas(every[key], span)
            gap, half = paired(areas(every[best[span]], span), own)
            gain, wide = paired(own, areas(every[RANDOM], span))
            row += [
                f"{100 * own.mean():.1f}",
                "-" if key == best[span] else f"{100 * gap:.1f} ± {100 * half:.1f}",
                "-" if key == RANDOM else f"{100 * gain:+.1f} ± {100 * wide:.1f}",
            ]
        table.add_row(*row)
        lines.append(f"| {' | '.join(row)} |")
    console.print(table)
    return [*lines, ""]


if __name__ == "__main__":
    app()
