"""Texts: a pretrained encoder's vectors, and a linear classifier over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders import text_vectors as text_encoding
from ml_backend.models.linear_head import LinearHead
from ml_backend.models.texts import read_text

if TYPE_CHECKING:
    from ml_backend.models.layers import EncodedNetwork


class Sentences(LinearHead):
    """Text classifier over a pretrained encoder, for 2 to 1,000 classes.

    A `LinearHead`. The encoder is ``auto``, a packaged one, or ``sentence_transformers:`` and a name, or a folder
    (`encoders.folders`).
    """

    name: ClassVar[str] = "sentences"
    object_tag: ClassVar[str] = "Text"

    @classmethod
    def default_encoder(cls) -> str:
        """What ``auto`` stands for on this machine."""
        return text_encoding.resolve(text_encoding.AUTO)

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it; None where it can be used."""
        reasons = [text_encoding.missing(name) for name in text_encoding.PACKAGED]
        return None if None in reasons else "; ".join(filter(None, reasons))

    @classmethod
    def read_item(cls, raw: bytes | str) -> str:
        """The text, as `Headlines` reads it. The encoder sees its first 256 tokens or so."""
        return read_text(raw)

    def seen(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the head sees of vectors of its encoder ``[N, D]``, as `pool` keeps them: the vectors."""
        return vectors

    def _new(self, encoder: str, items: Sequence[str]) -> EncodedNetwork:  # noqa: ARG002 (any texts will do)
        from ml_backend.models.layers import EncodedNetwork

        encoder = text_encoding.resolve(encoder)
        return EncodedNetwork.zeros(encoder, text_encoding.dimensions(encoder), len(self.labels))

    @classmethod
    def _knows(cls, encoder: str) -> bool:
        return text_encoding.known(encoder)

    def _features(self, items: Sequence[str]) -> NDArray[np.float32]:
        """The encoder's vectors; computed once per text and process."""
        return text_encoding.encode(self._fitted().encoder, items)

    def _learnt_from(self, items: Sequence[str]) -> NDArray[np.floating]:
        """The encoder's vectors as they are kept, in 16 bits."""
        return text_encoding.encode_narrow(self._fitted().encoder, items)
