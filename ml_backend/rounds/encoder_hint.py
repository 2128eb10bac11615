"""What a pool's own looks say about the encoder that it needs, before there are labels to measure on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from ml_backend.encoders.languages import language_hint
from ml_backend.encoders.pictures import decode, header
from ml_backend.errors import BadItemError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.records import Task

LOOKED_AT: Final = 40
"""Pictures, or texts that have to be fetched."""
SMALL: Final = 64
"""Sides up to which grey pictures are drawings or digits rather than photographs."""
COLOUR: Final = 12.0
"""Mean difference of a picture's largest and smallest colour channel (of 255) from which it is in colour."""
FETCHERS: Final = 8


@dataclass(frozen=True)
class Looks:
    """One picture."""

    side: int
    """The shorter one, in pixels."""
    colour: float
    """Mean over its pixels of the largest less the smallest of R, G, B (0 to 255)."""


@dataclass(frozen=True)
class Hint:
    """The candidate that a pool looks made for."""

    name: str
    reason: str
    """In a sentence."""
    told: bool = True
    """Whether the items told it; else there are too few of them, and more may tell another."""


def hint(tasks: Sequence[Task], names: Collection[str], question: ChoiceQuestion, media: MediaReader) -> Hint:
    """The candidate that the pool looks made for, and the reason.

    Args:
        tasks: of the project.
        names: of the candidates, the preferred first: a model, with its encoder in brackets.
        question: what the project asks.
        media: reads pictures.
    """
    if question.object_tag == "Image":
        return picture_hint(list(_looks(tasks, question, media)), names)
    return text_hint(list(_some_texts(tasks, question, media)), names)


def picture_hint(looks: Sequence[Looks], names: Collection[str]) -> Hint:
    """Small grey pictures are for the network that learns them; all others for a pretrained one."""
    first = next(iter(names))
    photo = next((name for name in names if name.startswith("photos")), first)
    if not looks:
        return Hint(photo, f"{photo}: no picture could be looked at", told=False)
    side, colour = int(median(look.side for look in looks)), median(look.colour for look in looks)
    told = f"pictures of about {side} pixels a side, {'in colour' if colour >= COLOUR else 'grey'}"
    grey = next((name for name in names if not name.startswith("photos")), first)
    chosen = grey if side <= SMALL and colour < COLOUR else photo
    return Hint(chosen, f"{chosen}: {told}; measured as soon as there are labels")


def text_hint(texts: Sequence[str], names: Collection[str]) -> Hint:
    """English texts are for the encoder of English, others for that of many languages (`languages.language_hint`)."""
    first = next(iter(names))
    told = language_hint(texts)
    chosen = next((name for name in names if name.endswith(f"({told.encoder})")), None)
    reason = told.reason.rstrip(".")
    if chosen is None:
        lacking = f"{told.encoder} cannot be used here. Measured as soon as there are labels"
        return Hint(first, f"{first}: {reason}; {lacking}", told.told)
    return Hint(chosen, f"{chosen}: {reason}; measured as soon as there are labels", told.told)


def _looks(tasks: Sequence[Task], question: ChoiceQuestion, media: MediaReader) -> Iterator[Looks]:
    step = max(1, len(tasks) // LOOKED_AT)
    with ThreadPoolExecutor(FETCHERS) as executor:
        found = executor.map(lambda task: _look(task, question, media), tasks[::step][:LOOKED_AT])
        yield from (look for look in found if look is not None)


def _some_texts(tasks: Sequence[Task], question: ChoiceQuestion, media: MediaReader) -> Iterator[str]:
    """The texts; where they have to be fetched, some of them."""
    step = max(1, len(tasks) // LOOKED_AT) if question.by_url else 1
    for task in tasks[::step]:
        try:
            yield str(media.shown(task, question))
        except BadItemError:
            continue


def _look(task: Task, question: ChoiceQuestion, media: MediaReader) -> Looks | None:
    try:
        raw = media.shown(task, question)
        return looks_of(raw) if isinstance(raw, bytes) else None
    except BadItemError:
        return None


def looks_of(raw: bytes) -> Looks:
    """Size and colour of a picture.

    Raises:
        BadItemError: it is none.
    """
    size = header(raw)
    pixels = decode(raw, SMALL).astype(np.int16)
    return Looks(min(size.width, size.height), float((pixels.max(axis=2) - pixels.min(axis=2)).mean()))
