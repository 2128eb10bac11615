"""The tables of a simulation: labels needed, labels saved, area under the curve, seconds a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.table import Table

from ml_backend.evaluation.learning_curves import (
    Curve,
    SeedInterval,
    area,
    first_above,
    held_from,
    mean_curve,
    paired_difference,
    saving,
)
from ml_backend.simulation.files import Runs, curves, write_csv

BASELINE: Final = "random"
NOT_REACHED: Final = "—"


@dataclass(frozen=True)
class Line:
    """One strategy's results."""

    strategy: str
    seeds: int
    labels: int
    """The last label count that all its seeds have: below the budget while runs are unfinished."""
    final: float
    """Mean of the measure there."""
    area: float
    """Mean over the seeds of the mean of the measure from the first to the last common label count."""
    area_gain: SeedInterval | None
    """Against random, paired."""
    first: tuple[float | None, ...]
    """Labels at which the mean curve reaches each target for the first time."""
    needed: tuple[float | None, ...]
    """Labels from which it holds it: never falls below again."""
    saved: tuple[str, ...]
    """Labels saved against random, with the interval."""
    fit_seconds: float
    select_seconds: float


def lines_of(runs: Runs, measure: str, targets: Sequence[float]) -> list[Line]:
    """One line a strategy, best area first."""
    by_strategy = curves(runs, measure)
    random = by_strategy.get(BASELINE, {})
    found = [_line(name, own, random, runs, targets) for name, own in by_strategy.items()]
    return sorted(found, key=lambda line: -line.area)


def _line(
    name: str, own: Mapping[int, Curve], random: Mapping[int, Curve], runs: Runs, targets: Sequence[float]
) -> Line:
    mean = mean_curve(own)
    rounds = [entry for (strategy, _), entries in runs.items() if strategy == name for entry in entries]
    compared = name != BASELINE and bool(set(own) & set(random))
    return Line(
        strategy=name,
        seeds=len(own),
        labels=int(mean.labels[-1]),
        final=float(mean.values[-1]),
        area=float(np.mean([_area(curve, mean) for curve in own.values()])),
        area_gain=_area_gain(own, random) if compared else None,
        first=tuple(first_above(mean, target) for target in targets),
        needed=tuple(held_from(mean, target) for target in targets),
        saved=tuple(_saved(own, random, target) if compared else "" for target in targets),
        fit_seconds=float(np.mean([entry.fit_seconds for entry in rounds])),
        select_seconds=float(np.mean([entry.select_seconds for entry in rounds if entry.picked] or [0.0])),
    )


def _area(curve: Curve, span: Curve) -> float:
    low, high = float(span.labels[0]), float(span.labels[-1])
    return area(curve, low, high) if low < high else float(curve.values[0])


def _area_gain(own: Mapping[int, Curve], random: Mapping[int, Curve]) -> SeedInterval:
    shared = sorted(set(own) & set(random))
    both = [curves[seed] for curves in (own, random) for seed in shared]
    span = mean_curve(dict(enumerate(both)))
    return paired_difference({s: _area(own[s], span) for s in shared}, {s: _area(random[s], span) for s in shared})


def _saved(own: Mapping[int, Curve], random: Mapping[int, Curve], target: float) -> str:
    found = saving(own, random, target)
    if found.unreached == found.seeds:
        return NOT_REACHED
    text = f"{'≥ ' if found.at_least else ''}{found.labels.mean:.0f}"
    if found.labels.low is not None and found.labels.high is not None:
        text += f" ({found.labels.low:.0f} to {found.labels.high:.0f})"
    return text + (f"; {found.unreached} of {found.seeds} seeds do not hold it" if found.unreached else "")


def _header(measure: str) -> list[str]:
    return ["strategy", "seeds", f"last {measure}", f"mean {measure}", "against random (95 %)", "fit, s", "choose, s"]


def _cells(line: Line) -> list[str]:
    gain = line.area_gain
    text = f"{gain.mean:+.4f}" if gain else ""
    if gain and gain.low is not None and gain.high is not None:
        text += f" ({gain.low:+.4f} to {gain.high:+.4f})"
    values = [line.strategy, str(line.seeds), f"{line.final:.4f} at {line.labels}", f"{line.area:.4f}", text]
    return [*values, f"{line.fit_seconds:.2f}", f"{line.select_seconds:.2f}"]


def _target_header(target: float) -> list[str]:
    return [f"reaches {target:g}", f"holds {target:g}", f"saved to {target:g} (95 %)"]


def _target_cells(line: Line, position: int) -> list[str]:
    counts = (line.first[position], line.needed[position])
    return [*(NOT_REACHED if count is None else f"{count:.0f}" for count in counts), line.saved[position]]


def tables_of(title: str, lines: Sequence[Line], measure: str, targets: Sequence[float]) -> list[Table]:
    """The results for a terminal: the curves as a whole, then the labels needed for each target."""
    whole = Table(*_header(measure), title=title)
    for line in lines:
        whole.add_row(*_cells(line))
    tables = [whole]
    for position, target in enumerate(targets):
        table = Table("strategy", *_target_header(target), title=f"Labels to {measure} {target:g}")
        for line in lines:
            table.add_row(line.strategy, *_target_cells(line, position))
        tables.append(table)
    return tables


def write_summary(folder: Path, lines: Sequence[Line], measure: str, targets: Sequence[float]) -> Path:
    """``summary.csv``: all tables in one file."""
    path = folder / "summary.csv"
    places = range(len(targets))
    rows = [[*_cells(line), *(cell for i in places for cell in _target_cells(line, i))] for line in lines]
    write_csv(path, [*_header(measure), *(name for target in targets for name in _target_header(target))], rows)
    return path
