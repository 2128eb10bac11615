"""A simulation's folder: its settings, one line a finished round, and the tables made from them."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ml_backend.errors import DataError
from ml_backend.evaluation.learning_curves import Curve
from ml_backend.files import append_line, for_people
from ml_backend.simulation.design import MEASURES, Round

ROUNDS_FILE: Final = "rounds.jsonl"
SETTINGS_FILE: Final = "settings.json"
GROWING: Final = ("budget",)
"""Settings that may be larger in a later run: its runs go on where the earlier ones ended."""

Runs = dict[tuple[str, int], list[Round]]


class ResultFolder:
    """Rounds on disk. Each is written and flushed as it ends, so that whatever stops a simulation costs one round."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self._settings = json.loads(json.dumps(settings))
        self._lock = FileLock(folder / ".lock", timeout=0)
        self.runs: Runs = {}

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as exc:
            raise DataError(f"Another simulation writes to {self.folder}; wait for it or choose another --out") from exc
        except OSError as exc:
            raise DataError(f"Cannot write to {self.folder} ({exc}); choose another --out") from exc
        try:
            self._claim()
            self.runs = read_rounds(self.folder)
            self._drop_torn_line()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def add(self, entry: Round) -> None:
        """Keep one round, durably."""
        append_line(self.folder / ROUNDS_FILE, json.dumps(asdict(entry)))
        _place(self.runs, entry)

    def _claim(self) -> None:
        """Write the settings, or compare them with those of the rounds that are there."""
        path = self.folder / SETTINGS_FILE
        there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for name in sorted({*self._settings, *there} if there else ()):
            before, now = there.get(name), self._settings.get(name)
            if before != now and not (name in GROWING and before is not None and now > before):
                raise DataError(
                    f"{self.folder} holds results with {name} = {before}, not {now}; choose another --out, or delete it"
                )
        for_people.write_text(path, json.dumps(self._settings, indent=1) + "\n")

    def _drop_torn_line(self) -> None:
        """Cut off half a line that a crash left: what is appended next must start on its own line."""
        path = self.folder / ROUNDS_FILE
        if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
            for_people.write_bytes(path, content[: content.rfind(b"\n") + 1])


def read_rounds(folder: Path) -> Runs:
    """Rounds by (strategy, seed), in order; a torn last line is passed over.

    Raises:
        DataError: a line is no round.
    """
    path, runs = folder / ROUNDS_FILE, Runs()
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            fields = json.loads(line)
            _place(runs, Round(**fields | {"picked": tuple(fields["picked"])}))
        except (ValueError, TypeError, KeyError) as exc:
            raise DataError(f"{path}, line {number}: no round of a simulation ({exc}); delete the line") from exc
    return runs


def is_finished(rounds: Sequence[Round], budget: int) -> bool:
    """Whether a run has spent its budget."""
    return bool(rounds) and rounds[-1].labels >= budget


def curves(runs: Runs, measure: str) -> dict[str, dict[int, Curve]]:
    """Learning curves by strategy and seed."""
    found: dict[str, dict[int, Curve]] = defaultdict(dict)
    for (strategy, seed), rounds in sorted(runs.items()):
        points = {entry.labels: entry.measures[measure] for entry in rounds if entry.measures.get(measure) is not None}
        if points:
            labels = sorted(points)
            found[strategy][seed] = Curve(_floats(labels), _floats([points[count] for count in labels]))
    return dict(found)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, whole or not at all."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    for_people.write_text(path, text.getvalue())


def write_rounds(folder: Path, runs: Runs) -> Path:
    """``rounds.csv``: one row a round."""
    header = ["strategy", "seed", "round", "labels", *MEASURES, "fit_seconds", "select_seconds"]
    rows = [
        [r.strategy, r.seed, r.round, r.labels, *(r.measures.get(m) for m in MEASURES), r.fit_seconds, r.select_seconds]
        for _, rounds in sorted(runs.items())
        for r in rounds
    ]
    write_csv(folder / "rounds.csv", header, rows)
    return folder / "rounds.csv"


def _place(runs: Runs, entry: Round) -> None:
    """Put a round into its run; one that was repeated, after the budget grew, replaces the earlier one."""
    rounds = runs.setdefault((entry.strategy, entry.seed), [])
    rounds[:] = [*(r for r in rounds if r.round < entry.round), entry]


def _floats(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
