"""Draw learning curves where an answer is a set of labels: ``auto``, others of ours, chance, and the peers'."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from bench import options
from bench.learning import Curves, areas, between_rounds, ours, paired, with_peers
from bench.learning_loop import Steps, run
from bench.strategies import machine
from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.encoders.text_vectors import encode
from ml_backend.files import atomic
from ml_backend.models.photos import Photos
from ml_backend.simulation.data import Source, data_folder
from ml_backend.simulation.design import LabelledData

POOL, TEST, VALIDATION = 2_000, 2_000, 500
SHARE: Final = 0.8
"""Of what may be in a pool at the most, where the test items are given: else all splits had the same pool."""
STEPS: Final = Steps(20, 20, 240)
SPANS: Final = ((20, 240), (20, 100), (100, 240))
KINDS: Final = ("news_sets", "photo_sets")
AUTO: Final = "ours auto (cold)"
"""As a project without labels begins."""
QUEUES: Final = {
    "ours auto, a queue of 200": between_rounds(np.inf),
    "ours auto, moved by each answer": between_rounds(),
}
"""As a project has it: what a round orders lasts for more than what is answered until the next one."""
WARM: Final = ("auto", "entropy", "badge", "k_center", "random")

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("ag_news/ and groceries.csv")] = None,
    splits: Annotated[int, typer.Option(min=2, help="Draws of pool and test items.")] = 5,
    pool: Annotated[int, typer.Option(min=300, help="Items of a pool, at the most.")] = POOL,
    items: Annotated[int | None, typer.Option(min=1_500, help="Items of each data set. [default: all]")] = None,
    keep: Annotated[Path | None, options.RESUMED] = None,
    markdown: Annotated[Path | None, options.MARKDOWN] = None,
) -> None:
    """Print the mean macro F-score of each strategy from 20 to 240 labels, of the first of these, and of the last.

    There are 20 labels a round.
    Features are fixed (a pretrained encoder's), and the final model is a logistic regression for each label, with the
    thresholds best on 500 further items: only the choice of items differs. Differences are paired by split.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = folder / f"curves-{splits}.npz"
        if not arrays.exists():
            made_of = _arrays(data or data_folder(), splits, pool, items)
            atomic.write_with(arrays, lambda staged: np.savez(staged, **made_of))
        run(arrays, {"warm": ours(WARM), "cold": ours(("auto", "typiclust")) | QUEUES}, folder / f"ours-{splits}.json")
        found = with_peers(arrays, folder, splits, "set_peers")
    lines = [f"{machine()}; {splits} splits.", ""]
    for name in found:
        lines += _table(name, found)
    if markdown:
        atomic.write_text(markdown, "\n".join(lines))
    console.print(machine(), highlight=False, soft_wrap=True)


def _arrays(folder: Path, splits: int, most: int, items: int | None) -> dict[str, Any]:
    """Features, sets and the rows of pool, test and validation of each split."""
    arrays: dict[str, Any] = {"steps": np.array(STEPS)}
    for name in KINDS:
        source = Source(name, folder).load()
        rows = np.sort(np.random.default_rng(0).permutation(len(source.items))[:items])
        apart = np.zeros(len(rows), np.bool_) if source.test is None else np.isin(rows, source.test)
        arrays[f"features_{name}"] = _features(source, rows)
        arrays[f"targets_{name}"] = source.targets[rows]
        drawn = [_split(apart, np.random.default_rng(seed), most) for seed in range(splits)]
        for part, found in zip(("pools", "tests", "validations"), zip(*drawn, strict=True), strict=True):
            arrays[f"{part}_{name}"] = np.stack(found)
    return arrays


def _features(data: LabelledData, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    items = [data.items[row] for row in rows.tolist()]
    return Photos.vectors(items, data.labels) if data.model is Photos else encode("minilm", items)


def _split(apart: NDArray[np.bool_], rng: np.random.Generator, most: int) -> list[NDArray[np.int64]]:
    """Pool, test and validation; what the data's authors set ``apart`` stays out of the pool."""
    order = rng.permutation(len(apart))
    if not apart.any():
        return [order[:most], order[most + VALIDATION :][:TEST], order[most:][:VALIDATION]]
    others, kept = order[~apart[order]], order[apart[order]]
    return [others[: min(most, round(SHARE * len(others)))], kept[VALIDATION:][:TEST], kept[:VALIDATION]]


def _table(name: str, found: Curves) -> list[str]:
    every = {f"{strategy} ({start})": c for start, own in found[name].items() for strategy, c in own.items()}
    header = ["strategy (first labels)"]
    for low, high in SPANS:
        header += [f"{low} to {high}, %", "auto leads by"]
    table, lines = (
        Table(*header, title=name),
        [f"### {name}", "", f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"],
    )
    for key in sorted(every, key=lambda key: -areas(every[key], SPANS[0], STEPS).mean()):
        row = [key]
        for span in SPANS:
            auto, own = areas(every[AUTO], span, STEPS), areas(every[key], span, STEPS)
            gap, half = paired(auto, own)
            row += [f"{100 * own.mean():.1f}", "-" if key == AUTO else f"{100 * gap:+.1f} ± {100 * half:.1f}"]
        table.add_row(*row)
        lines.append(f"| {' | '.join(row)} |")
    console.print(table)
    return [*lines, ""]


if __name__ == "__main__":
    app()
