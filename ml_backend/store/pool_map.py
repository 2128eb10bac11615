"""The map of a pool as a model version saw it (tasks, places, what is known of each), kept as a file of the version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ml_backend.draws import Ids, draws_for
from ml_backend.errors import StoreError
from ml_backend.files import Staged

MAP_FILE: Final = "map.safetensors"
MOST: Final = 10_000
"""Most points of one map; a browser still moves this many smoothly."""
STATES: Final = ("open", "queued", "labelled", "evaluation")
OPEN, QUEUED, LABELLED, EVALUATION = range(4)
UNKNOWN: Final = -1
STREAM: Final = 32
"""Added to the seed, so that the shown tasks are drawn independently of all other draws."""
POOL: Final = "pool"


Places = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """``N`` items on the map."""

    task_ids: Ids
    """``[N]``, each once."""
    places: Places
    """``[N, 2]``."""


@dataclass(frozen=True)
class PoolMap:
    """``N`` tasks of a pool."""

    task_ids: Ids
    """``[N]``."""
    places: Places
    """``[N, 2]``."""
    states: NDArray[np.uint8]
    """Index into ``STATES`` at the time when the map was drawn ``[N]``."""
    labels: NDArray[np.int16]
    """What people answered: index into the version's labels, -1 if nobody has ``[N]``."""
    guesses: NDArray[np.int16]
    """The version's most probable label ``[N]``."""
    confidences: NDArray[np.float32]
    """Its probability ``[N]``."""
    uncertainties: NDArray[np.float32]
    """In [0, 1], larger means asked sooner; see `scoring.Scores` ``[N]``."""
    pool: int
    """Number of all tasks of the project, shown or not."""
    rows: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    """Numbers of rows of an outside pool that are not tasks: a uniform sample ``[R]``."""
    row_places: Places = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    """``[R, 2]``."""

    @property
    def layout(self) -> Layout:
        """The tasks and rows with their places, and nothing else."""
        ids, places = (self.task_ids, self.rows), (self.places, self.row_places)
        return Layout(np.concatenate(ids), np.concatenate(places))


OF_ROWS: Final = ("rows", "row_places")
ARRAYS: Final = tuple(each.name for each in fields(PoolMap) if each.name != POOL)


def choose_shown(groups: Mapping[int, Sequence[int]], *, most: int = MOST, seed: int) -> dict[int, list[int]]:
    """Choose the tasks to show: state → task ids, at most ``most`` in all.

    Each group may have a quarter. What small groups leave over goes first to the queue, then to labelled, evaluation
    and open tasks. The queue is cut at its end. In the other groups the tasks with the lowest draws stay, so that the
    same tasks are shown from round to round.
    """
    turns = (QUEUED, LABELLED, EVALUATION, OPEN)
    ordered = {state: list(groups.get(state, ())) for state in turns}
    for state in turns[1:]:
        ids = np.array(ordered[state], dtype=np.int64)
        ordered[state] = ids[np.argsort(draws_for(ids, seed + STREAM), kind="stable")].tolist()
    sizes = {state: min(len(ids), most // len(turns)) for state, ids in ordered.items()}
    for state in turns:
        sizes[state] += min(len(ordered[state]) - sizes[state], most - sum(sizes.values()))
    return {state: ordered[state][: sizes[state]] for state in turns}


def write_map(path: Staged, drawn: PoolMap) -> None:
    """Write the file. Raises OSError or SafetensorError."""
    arrays = {name: np.ascontiguousarray(getattr(drawn, name)) for name in ARRAYS}
    save_file(arrays, path, metadata={POOL: str(drawn.pool)})


def read_map(folder: Path) -> PoolMap | None:
    """Read the map in a version's folder; None if no map was drawn.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / MAP_FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            absent = set(OF_ROWS) - set(file.keys())  # missing in maps from before rows were drawn
            arrays = {name: file.get_tensor(name) for name in ARRAYS if name not in absent}
            found = PoolMap(**arrays, pool=int(file.metadata()[POOL]))
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as exc:
        raise StoreError(f"{path} is damaged ({exc}); delete it: the next round draws a new one.") from exc
    lengths = {len(values) for name, values in arrays.items() if name not in OF_ROWS}
    shapes = found.places.shape == (len(found.task_ids), 2), found.row_places.shape == (len(found.rows), 2)
    if len(lengths) != 1 or not all(shapes):
        raise StoreError(f"{path} is damaged (its parts differ in length); delete it: the next round draws a new one.")
    return found
