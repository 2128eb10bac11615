"""Process groups: a server and all that it started."""

from __future__ import annotations

import os


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
