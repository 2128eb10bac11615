"""The models for all questions except the leading one, in one file per queue.

``heads/<queue>.safetensors`` holds tensors ``<number>.<name>``, and as metadata what is needed to rebuild each model.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safetensors import SafetensorError, safe_open

from ml_backend.errors import ModelError, StoreError
from ml_backend.files import atomic, private_folder
from ml_backend.label_studio.labeling_config import ChoiceQuestion, question_from
from ml_backend.models.base import Model
from ml_backend.models.registry import MODELS
from ml_backend.store.folder import checked_name

if TYPE_CHECKING:
    from torch import Tensor

FOLDER: Final = "heads"
ABOUT: Final = "about"
TOLD: Final = ("weight", "shown", "hyperparameters", "length", "fingerprint")
"""Fields of a head that are stored unchanged."""


@dataclass(frozen=True)
class Head:
    """The model for one question that is learnt beside the leading one."""

    question: ChoiceQuestion
    model: Model
    weight: float
    """How much its doubt counts in the order."""
    shown: bool
    """Whether people see its guesses. False for a model that cannot be told from guessing."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """The hyperparameters of its training, which also say how items are read."""
    length: int = 0
    """How many numbers each item has, if the numbers come with the tasks; otherwise 0."""
    fingerprint: str = ""
    """Hash of the training data and of every setting that affects the weights."""


def path_of(folder: Path, queue: str) -> Path:
    """Where the heads of a queue lie in a project's folder."""
    return folder / FOLDER / f"{checked_name(queue)}.safetensors"


def write_heads(folder: Path, queue: str, heads: Sequence[Head], *, keep: Collection[str] = ()) -> None:
    """Write the heads of a queue, all or nothing, and delete those of all queues that are not in ``keep``.

    Raises:
        StoreError: they cannot be written.
    """
    path = path_of(folder, queue)
    kept = {path, *(path_of(folder, name) for name in keep)}
    try:
        if heads:
            private_folder(path.parent)
            _save(path, heads)
        for other in set(path.parent.glob("*")) - kept:
            other.unlink(missing_ok=True)
    except (OSError, SafetensorError) as exc:  # safetensors has its own error for a full disk
        raise StoreError(f"Cannot write {path} ({exc}); nothing was changed.") from exc


def _save(path: Path, heads: Sequence[Head]) -> None:
    from safetensors.torch import save_file  # here: it brings torch

    tensors: dict[str, Tensor] = {}
    about = []
    for number, head in enumerate(heads):
        weights, config = head.model.state()
        tensors |= {f"{number}.{name}": tensor.contiguous() for name, tensor in weights.items()}
        told = {name: getattr(head, name) for name in TOLD}
        about.append({"question": asdict(head.question), "model": head.model.name, "config": config, **told})
    metadata = {ABOUT: json.dumps(about)}
    atomic.write_with(path, lambda staged: save_file(tensors, staged, metadata=metadata))


def read_heads(folder: Path, queue: str) -> tuple[Head, ...]:
    """Read the heads of a queue; empty if its round learnt only one question.

    Raises:
        StoreError: the file is damaged.
    """
    path = path_of(folder, queue)
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()[ABOUT])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return tuple(_head(known, _of(tensors, number)) for number, known in enumerate(about))
    except FileNotFoundError:
        return ()
    except (OSError, SafetensorError, ModelError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{path} is damaged ({exc}); delete it: the next round makes a new one.") from exc


def _of(tensors: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    start = f"{number}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _head(known: Mapping[str, Any], weights: dict[str, Tensor]) -> Head:
    question = question_from(known["question"])
    model = MODELS[known["model"]].from_state(question.labels, weights, known["config"])
    return Head(question, model, **{name: known[name] for name in TOLD})
