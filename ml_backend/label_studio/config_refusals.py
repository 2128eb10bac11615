"""Reasons why a labeling config cannot be learnt from. Each text continues a sentence that begins with the project."""

from __future__ import annotations

from typing import NoReturn


class Refused(ValueError):
    """A config, or one of its controls, cannot be learnt from."""


class ToCome(Refused):
    """It can be learnt from as soon as there are tasks."""


def refuse(reason: str) -> NoReturn:
    """Stop reading the config.

    Raises:
        Refused: always.
    """
    raise Refused(reason)
