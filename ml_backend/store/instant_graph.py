"""The file that a round leaves for the instant loop: the graph of its tasks, and the queue that belongs to it.

It holds all that the server needs to continue from there. Neither the tasks nor the model have to be read again, and
servers on other machines, which have no copy of the tasks, get it with the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ml_backend.errors import StoreError
from ml_backend.files import atomic
from ml_backend.label_studio.labeling_config import ChoiceQuestion, question_from
from ml_backend.semi_supervised.graph import Neighbourhood, coordinates

FILE: Final = "instant.safetensors"
ABOUT: Final = "about"


@dataclass(frozen=True)
class InstantGraph:
    """The open and labelled tasks of one project as a graph, at the time when a queue was made."""

    queue: str
    """The queue's name."""
    question: ChoiceQuestion
    """The leading question, with single choices or sets; its labels are the ``C`` classes."""
    newest: str
    """Time of the newest answer that the round knew, in Label Studio's format; later answers are news."""
    task_ids: NDArray[np.int64]
    """Open tasks, in the order of ``graph.open`` ``[O]``."""
    graph: Neighbourhood
    others: tuple[tuple[ChoiceQuestion, Neighbourhood], ...] = ()
    """The questions learnt beside it, each with a graph of the same open tasks."""


def write(folder: Path, found: InstantGraph) -> None:
    """Write the file, all or nothing.

    Raises:
        StoreError: it cannot be written.
    """
    path = folder / FILE
    arrays = {"task_ids": found.task_ids} | _arrays(found.graph, "")
    for number, (_, graph) in enumerate(found.others, 1):
        arrays |= _arrays(graph, f"{number}.")
    others = [asdict(question) for question, _ in found.others]
    about = {"queue": found.queue, "newest": found.newest, "question": asdict(found.question), "others": others}
    about["over_classes"] = found.graph.over_classes
    try:
        contiguous = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        atomic.write_with(path, lambda staged: save_file(contiguous, staged, metadata={ABOUT: json.dumps(about)}))
    except (OSError, SafetensorError) as exc:
        raise StoreError(f"Cannot write {path} ({exc}); nothing was changed.") from exc


def _arrays(graph: Neighbourhood, start: str) -> dict[str, NDArray[Any]]:
    """A graph's arrays, with ``start`` put before their names."""
    arrays = {
        "data": graph.weights.data.astype(np.float32),
        "indices": graph.weights.indices.astype(np.int32),
        "indptr": graph.weights.indptr.astype(np.int64),
        "open": graph.open.astype(np.int32),
        "labelled": graph.labelled.astype(np.int32),
        "targets": graph.targets.astype(np.int32),
        "prior": graph.prior,
    }
    if graph.model is not None:
        arrays["model"] = graph.model.astype(np.float32)
    return {f"{start}{name}": values for name, values in arrays.items()}


def _graph(arrays: Mapping[str, NDArray[Any]], start: str, over_classes: str) -> Neighbourhood:
    from scipy import sparse  # here: it is large

    known = {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
    size = len(known["indptr"]) - 1
    weights = sparse.csr_matrix((known["data"], known["indices"], known["indptr"]), (size, size))
    done, todo, targets = (known[name].astype(np.int64) for name in ("labelled", "open", "targets"))
    turned = partial(coordinates, weights)
    return Neighbourhood(weights, turned, todo, done, targets, known["prior"], known.get("model"), over_classes)


def read(folder: Path) -> InstantGraph | None:
    """Read what `write` wrote; None if there is no file.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / FILE
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()[ABOUT])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        over_classes = about.get("over_classes", "mean")  # missing in files from before there were graphs of sets
        others = tuple(
            (question_from(question), _graph(arrays, f"{number}.", over_classes))
            for number, question in enumerate(about.get("others", ()), 1)
        )
        question, graph = question_from(about["question"]), _graph(arrays, "", over_classes)
        return InstantGraph(about["queue"], question, about["newest"], arrays["task_ids"], graph, others)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{path} is damaged ({exc}); delete it: the next round makes a new one.") from exc


def remove(folder: Path) -> None:
    """Delete the file, so that the instant loop does nothing.

    Raises:
        StoreError: the file cannot be deleted.
    """
    try:
        (folder / FILE).unlink(missing_ok=True)
    except OSError as exc:
        raise StoreError(f"Cannot delete {folder / FILE} ({exc}); check MODEL_DIR.") from exc
