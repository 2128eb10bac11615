"""What several objects, or somebody's own encoder, say about a task: one vector, and a linear classifier over it.

``parts -> vectors of length 1, side by side [D] -> (x - m) / |x - m| -> dropout -> W·x + c [C]``
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders import picture_vectors, text_vectors
from ml_backend.encoders.side_by_side import unit_rows
from ml_backend.encoders.text_networks import NETWORKS
from ml_backend.encoders.vectors import Vectors as Centring
from ml_backend.errors import BadItemError, ModelError
from ml_backend.models.linear_head import LinearHead
from ml_backend.models.reading import ItemReader

if TYPE_CHECKING:
    from ml_backend.models.layers import CentredNetwork

Features = NDArray[np.float32]
Part = tuple[str, Any]
"""What one object shows: ``Text`` and its words, ``Image`` and its bytes, ``Images`` and a list of them, ``Numbers``
and what the task's field holds, with the field's name in words."""
LONGEST: Final = 16_384
"""Numbers of one vector."""
PICTURES: Final = picture_vectors.LITE0
"""Encoder of the pictures among the parts: always the same, since no version remembers which it was."""
LARGEST: Final = 1e6
"""Size of a number: beyond, 32 bits are not enough for what is computed with it."""


class Vectors(LinearHead):
    """Classifier over vectors of any origin, for 2 to 1,000 classes.

    A `LinearHead`: items are ``float32 [D]``, of what `read_parts` makes one. The hyperparameter ``encoder`` reads the
    texts among the parts; pictures are read by `PICTURES`.
    """

    name: ClassVar[str] = "vectors"
    object_tag: ClassVar[str] = "Vector"
    embedding: ClassVar[str] = "vectors"
    centred: ClassVar[bool] = True

    @classmethod
    def default_encoder(cls) -> str:
        """What ``auto`` stands for on this machine; empty where no encoder of texts can be used.

        One alone: for two side by side, running projects would fetch and read all their pictures anew.
        """
        return next((name for name in NETWORKS if text_vectors.missing(name) is None), "")

    @classmethod
    def missing(cls) -> str | None:
        """Nothing: what a part of a question needs is said where it is read."""
        return None

    @classmethod
    def reader(cls, hyperparameters: Mapping[str, Any]) -> ItemReader:
        """How many tasks are read: each is a list of parts."""
        encoder = _resolved(str(hyperparameters.get("encoder", text_vectors.AUTO)))
        return ItemReader(f"vectors by {encoder or 'no encoder'}", lambda raws: read_parts(raws, encoder))

    @classmethod
    def read_item(cls, raw: bytes | str) -> Features:
        """A vector in JSON; tasks are read by `read_parts`."""
        try:
            value = json.loads(raw)
        except ValueError as exc:
            raise BadItemError(f"no vector in JSON: {exc}") from exc
        return numbers(value)

    def seen(self, vectors: Features) -> Features:
        """What the head sees of vectors that stand side by side ``[N, D]``, as `pool` keeps them: centred."""
        return Centring(self._fitted().get_buffer("mean").numpy()).embed(list(vectors))

    @classmethod
    def _knows(cls, encoder: str) -> bool:
        return not encoder or text_vectors.known(encoder)

    def _new(self, encoder: str, items: Sequence[Features]) -> CentredNetwork:
        from ml_backend.models.layers import CentredNetwork

        mean = Centring.learn(items, seed=0).state()[0]["mean"]
        network = CentredNetwork.zeros(_resolved(encoder), len(mean), len(self.labels))
        network.mean.copy_(mean)
        return network

    def _features(self, items: Sequence[Features]) -> Features:
        mean = self._fitted().get_buffer("mean").numpy()
        if len(items) and np.shape(items[0]) != mean.shape:
            raise ModelError(
                f"vectors: the model learnt from {len(mean)} numbers an item, and now there are {np.size(items[0])}; "
                "train again"
            )
        return Centring(mean).embed(items)


def numbers(value: Any, name: str = "the field") -> Features:
    """A list of numbers as a vector of length 1, or 0 where all are.

    Raises:
        BadItemError: it is none, it is empty or too long, or a number is missing, no number, or too large.
    """
    if not isinstance(value, list) or not value:
        raise BadItemError(f"{name} holds no list of numbers")
    if len(value) > LONGEST:
        raise BadItemError(f"{name} holds {len(value):,} numbers; at most {LONGEST:,} are read")
    wrong = next((place for place, each in enumerate(value) if not _is_number(each)), None)
    if wrong is not None:
        raise BadItemError(f"{name} holds {str(value[wrong])[:20]!r} at place {wrong}, which is no number up to 1e6")
    return _unit(np.array(value, dtype=np.float64))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST  # no NaN either


def read_parts(raws: Sequence[Sequence[Part]], encoder: str) -> list[Features | BadItemError]:
    """The vector of each task ``[D]``, or why there is none: its parts' vectors, each of length 1, side by side.

    Args:
        raws: what the objects of each task show.
        encoder: of the texts.

    Raises:
        ConfigurationError: an encoder that is needed cannot be used.
    """
    columns = [_column([raw[place] for raw in raws], encoder) for place in range(len(raws[0]))] if raws else []
    found: list[Features | BadItemError] = []
    for row in zip(*columns, strict=True):
        wrong = next((part for part in row if isinstance(part, BadItemError)), None)
        found.append(wrong or np.concatenate([part for part in row if not isinstance(part, BadItemError)]))
    return found


def _column(parts: Sequence[Part], encoder: str) -> list[Features | BadItemError]:
    """The vectors of one object in many tasks."""
    kind = parts[0][0]
    contents = [content for _, content in parts]
    if kind == "Text":
        return [_unit(row) for row in text_vectors.encode(encoder or text_vectors.resolve(text_vectors.AUTO), contents)]
    if kind == "Image":
        return [_or_error(_unit, each) for each in picture_vectors.read(PICTURES, contents)]
    if kind == "Images":
        return _means(contents)
    return [_or_error(lambda value: numbers(*value), each) for each in contents]


def _means(groups: Sequence[Sequence[bytes]]) -> list[Features | BadItemError]:
    """Of several pictures the mean of their vectors."""
    read = iter(picture_vectors.read(PICTURES, [raw for group in groups for raw in group]))
    found: list[Features | BadItemError] = []
    for group in groups:
        vectors = [next(read) for _ in group]
        wrong = next((each for each in vectors if isinstance(each, BadItemError)), None)
        good = [_unit(each) for each in vectors if not isinstance(each, BadItemError)]
        found.append(wrong or _unit(np.mean(good, axis=0)))
    return found


def _or_error(make: Callable[[Any], Features], content: Any) -> Features | BadItemError:
    if isinstance(content, BadItemError):
        return content
    try:
        return make(content)
    except BadItemError as exc:
        return exc


def _unit(row: NDArray[Any]) -> Features:
    found: Features = unit_rows(row[None])[0]
    return found


def _resolved(encoder: str) -> str:
    return Vectors.default_encoder() if encoder in ("", text_vectors.AUTO) else text_vectors.resolve(encoder)
