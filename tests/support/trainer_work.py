"""What tests ask a trainer process to do. It runs there: little is imported, so that it starts quickly."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

LONG = 600.0


class Awkward(Exception):
    """An exception that cannot be made again from its arguments."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


def work(task: str, value: Any = None) -> Any:
    """What the process is asked to do; it runs there."""
    if task == "log":
        logging.getLogger("some.part").debug("too quiet for %s", value)
        logging.getLogger("some.part").info("heard by %s", value)
    elif task == "raise":
        raise value
    elif task == "raise awkwardly":
        raise Awkward(code=value)
    elif task == "exit":
        os._exit(value)
    elif task == "hang":
        Path(value).touch()  # whoever interrupts a call waits until it is under way
        time.sleep(LONG)
    elif task == "function":
        return lambda: value
    return os.getpid(), value
