"""Why a labeling config cannot be learnt from: a reason that goes on after the name of the project."""

from __future__ import annotations

from typing import NoReturn


class Refused(ValueError):
    """Why a config, or one control of it, cannot be learnt from."""


class ToCome(Refused):
    """It can be learnt from once there are tasks."""


def refuse(reason: str) -> NoReturn:
    """Give up on what is being read.

    Raises:
        Refused: always.
    """
    raise Refused(reason)
