"""Numbers that come with the tasks, or of several objects side by side: compared with what all of the pool share."""

from __future__ import annotations

from typing import ClassVar

from ml_backend.encoders.photos import Photos


class Vectors(Photos):
    """Vectors of any origin ``float32 [D]``: centred on those of the pool, and of length 1.

    ``(x - m) / |x - m|``: what all have in common tells none of them apart, and vectors of different encoders are of
    very different lengths.
    """

    name: ClassVar[str] = "vectors"
    object_tag: ClassVar[str] = "Vector"
    at_once: ClassVar[int] = 1000

    @classmethod
    def missing(cls) -> str | None:
        """Nothing: the vectors are there already."""
        return None
