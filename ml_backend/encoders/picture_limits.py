"""What decoding a picture from outside may cost: limits of one, and of all that a process decodes at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS: Final = 50_000_000
"""A photograph is rarely larger; a decompression bomb is."""
MAX_MEMORY: Final = 320_000_000
"""Bytes that decoding one picture may take."""
PROCESS_MEMORY: Final = 640_000_000
"""Bytes that all decoding of a process may take at once."""
ANIMATION_BYTES: Final = 20
"""A pixel of WebP: its decoder draws all frames on canvases of its own before it hands over the first."""
PLAIN_BYTES: Final = 4
"""A pixel of any other format, as Pillow keeps it."""
COPIED_BYTES: Final = 8
"""A pixel of a picture that is converted as a whole: one with transparency or a palette."""
COEFFICIENT_BYTES: Final = 6
"""A pixel of a progressive JPEG, whose coefficients are all kept until its last scan, at whatever scale."""


class MemoryGate:
    """Lets threads decode while what they take together stays within a budget; the others wait."""

    def __init__(self, budget: int) -> None:
        self._budget, self._free = budget, budget
        self._changed = Condition()
        # A fork in the middle of decoding would leave the child with a budget that nobody gives back.
        os.register_at_fork(after_in_child=self._reset)

    @contextmanager
    def taking(self, memory: int) -> Iterator[None]:
        """Hold some bytes of the budget; more than all of it counts as all."""
        wanted = min(memory, self._budget)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()

    def _reset(self) -> None:
        self._free, self._changed = self._budget, Condition()


PROCESS: Final = MemoryGate(PROCESS_MEMORY)
"""The one of this process."""


@dataclass(frozen=True)
class PictureLimits:
    """What one picture may cost; all of it is read from its header, before a pixel is decoded."""

    pixels: int = MAX_PIXELS
    memory: int = MAX_MEMORY
    gate: MemoryGate = PROCESS


def problem(image: Image.Image, pixels: int, limits: PictureLimits) -> str | None:
    """Why an opened picture, not decoded yet, is refused; None where it is not.

    Args:
        image: as in `memory_of`.
        pixels: as in `memory_of`.
        limits: what one picture may cost.
    """
    if pixels > limits.pixels:
        return f"it has {pixels:,} pixels, the limit is {limits.pixels:,}"
    if (memory := memory_of(image, pixels)) > limits.memory:
        return (
            f"its {pixels:,} pixels as {image.format} take {memory / 1e6:.0f} MB of memory, "
            f"the limit is {limits.memory / 1e6:.0f} MB"
        )
    return None


def memory_of(image: Image.Image, pixels: int) -> int:
    """Bytes that decoding takes at its peak, estimated.

    Args:
        image: opened, and asked to decode at a smaller scale where its format can (``draft``).
        pixels: in its file, before that.
    """
    if image.format == "WEBP":
        return pixels * ANIMATION_BYTES
    whole = image.mode in ("P", "PA", "LA", "RGBA") or "transparency" in image.info
    memory = image.width * image.height * (COPIED_BYTES if whole else PLAIN_BYTES)
    return memory + (pixels * COEFFICIENT_BYTES if image.info.get("progressive") else 0)
