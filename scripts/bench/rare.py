"""How fast is a rare class found, and how good is the model then? Disaster headlines, 8 % of them related."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.table import Table

from bench import options
from bench.models import HEADLINE_LABELS
from bench.strategies import machine
from ml_backend.cli.common import console, new_app, progress_bar, tell_errors
from ml_backend.config import ProjectSettings
from ml_backend.evaluation.metrics import evaluate
from ml_backend.files import atomic
from ml_backend.models.base import LabeledItems
from ml_backend.models.registry import MODELS
from ml_backend.selection.context import QueryContext, wants
from ml_backend.selection.select import select
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.headline_files import RELATED, LabelledText, load_headlines

POOL: Final = 600
BATCH: Final = 5
NEW: Final = 200
"""Labels after the given ones."""
QUEUED: Final = (50, 100, 200)
MEASURED: Final = (0, 35, 105, 200)
"""New labels at which the model is judged."""
SEEDS_MIX: Final = "least_confidence:0.8,novelty:0.1,random:0.1"
RUNS: Final[tuple[tuple[str, dict[str, object]], ...]] = (
    ("sentences", {"strategy": "random"}),
    ("sentences", {"strategy": SEEDS_MIX}),
    ("sentences", {"strategy": "auto"}),
    ("sentences", {"strategy": "margin"}),  # with two classes the same order as entropy
    ("sentences", {"strategy": "margin", "balance": True}),
    ("sentences", {"strategy": "badge"}),
    ("headlines", {"strategy": "random"}),
    ("headlines", {"strategy": SEEDS_MIX}),
)

app = new_app()


@dataclass(frozen=True)
class Outcome:
    """One run."""

    related: NDArray[np.bool_]
    """Whether each task was related, in the order asked ``[NEW]``."""
    f: dict[int, float]
    """F-score of the related class, by new labels."""
    auc: dict[int, float]


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("headlines/")] = None,
    splits: Annotated[int, typer.Option(min=2, help="Draws of the pool.")] = 10,
    markdown: Annotated[Path | None, options.MARKDOWN] = None,
) -> None:
    """Start with the 95 given labels, ask 200 of a pool of 600, judge on the other 600: mean (lowest) of the splits.

    The threshold is 0.5 throughout; nothing is chosen with the judging headlines.
    """
    torch.set_num_threads(1)
    headlines = load_headlines(data or data_folder())
    header = ["model", "strategy"]
    header += [f"related among first {n}, %" for n in QUEUED]
    header += [f"F, {len(headlines.training) + n} labels" for n in MEASURED]
    header += [f"AUC, {len(headlines.training) + n} labels" for n in MEASURED]
    rows = []
    with progress_bar() as bar:
        task = bar.add_task("headlines", total=len(RUNS) * splits)
        for model, changes in RUNS:
            outcomes = []
            for seed in range(splits):
                outcomes.append(_run(headlines.training, headlines.evaluation, model, changes, seed))
                bar.advance(task)
            name = "the seed's mix" if changes["strategy"] == SEEDS_MIX else str(changes["strategy"])
            row = [model, name + (", balanced" if "balance" in changes else "")]
            row += [_spread([100 * o.related[:n].mean() for o in outcomes], 0) for n in QUEUED]
            row += [_spread([o.f[n] for o in outcomes], 2) for n in MEASURED]
            rows.append(row + [_spread([o.auc[n] for o in outcomes], 3) for n in MEASURED])
    table = Table(*header, title=f"{splits} splits")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(machine(), highlight=False, soft_wrap=True)
    if markdown:
        lines = [f"{machine()}; {splits} splits.", "", f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
        atomic.write_text(markdown, "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]))


def _run(
    given: Sequence[LabelledText], others: Sequence[LabelledText], name: str, changes: dict[str, object], seed: int
) -> Outcome:
    settings = ProjectSettings().override({**changes, "seed": seed, "control_share": 0}, where="Benchmark")
    order = np.random.default_rng(seed).permutation(len(others))
    items = [headline.text for headline in (*given, *others)]
    targets = np.array([HEADLINE_LABELS.index(str(headline.label)) for headline in (*given, *others)])
    pool, test = len(given) + order[:POOL], len(given) + order[POOL:]
    asked: list[int] = []
    f, auc = {}, {}
    while True:
        labelled = np.sort(np.array([*range(len(given)), *asked]))
        model = MODELS[name](HEADLINE_LABELS)
        model.fit([items[i] for i in labelled], targets[labelled], seed=seed)
        if len(asked) in MEASURED:
            p = model.probabilities([items[i] for i in test]).mean(axis=1)
            metrics = evaluate(p, targets[test], HEADLINE_LABELS, RELATED)
            f[len(asked)], auc[len(asked)] = metrics.f_positive or 0.0, metrics.auc or 0.0
        if len(asked) >= NEW:
            return Outcome(targets[asked] == HEADLINE_LABELS.index(RELATED), f, auc)
        rest = np.setdiff1d(pool, asked)
        known = LabeledItems([items[i] for i in labelled], targets[labelled])
        labelled_too = known if "labelled" in wants(settings, trained=True) else None
        context = QueryContext(model, [items[i] for i in rest], rest, settings, labelled=labelled_too)
        asked += select(context, count=BATCH, turn=len(rest)).task_ids.tolist()


def _spread(values: Sequence[float], places: int) -> str:
    return f"{np.mean(values):.{places}f} ({min(values):.{places}f})"


if __name__ == "__main__":
    app()
