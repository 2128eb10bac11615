"""Texts without labels: pretrained encoders, learnt elsewhere on other texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ml_backend import hardware
from ml_backend.encoders import text_vectors as text_encoding
from ml_backend.encoders.base import Rows, WithoutOptions
from ml_backend.encoders.side_by_side import BOTH
from ml_backend.records import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1024


class _Pretrained(WithoutOptions):
    """An encoder of `text_encoding`; nothing about it is learnt, or stored, with a project."""

    object_tag: ClassVar[str] = "Text"

    @classmethod
    def missing(cls) -> str | None:
        """Its package, where it is not installed."""
        return text_encoding.missing(cls.name)

    @classmethod
    def learn(
        cls,
        items: Sequence[str],
        *,
        seed: int,  # noqa: ARG003 (nothing is drawn)
        options: Mapping[str, float] | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Encode the items, which are kept for the process; see ``Encoder.learn``."""
        cls._check(items, options)
        encoder = cls()
        for start in range(0, len(items), BLOCK):
            encoder.embed(items[start : start + BLOCK])
            progress(min(start + BLOCK, len(items)), len(items))
        return encoder

    @hardware.threads()
    def embed(self, items: Sequence[str]) -> Rows:
        """Vectors ``[N, D]`` of length 1."""
        return text_encoding.encode(self.name, items)

    def views(self, items: Sequence[str]) -> Iterator[Rows]:
        """One: `embed`. No change of a text is known to leave every label as it is."""
        yield self.embed(items)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Nothing: the weights stay in their package."""
        return {}, {}

    @classmethod
    def from_state(cls, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """The encoder of the package."""
        return cls()


class MiniLmMultilingual(_Pretrained):
    """MiniLM and the multilingual encoder side by side, for English texts."""

    name = BOTH


class MiniLm(_Pretrained):
    """all-MiniLM-L6-v2, for English sentences and paragraphs."""

    name = "minilm"


class WordLlama(_Pretrained):
    """Static word vectors: lighter, a hundred times faster, less good."""

    name = "wordllama"


class Multilingual(_Pretrained):
    """Universal Sentence Encoder, for texts in 16 languages, and for several in one project."""

    name = "multilingual"
