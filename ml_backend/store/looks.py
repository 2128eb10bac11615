"""How often, and for how long, a reader asks the remote."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Final

from ml_backend.errors import StoreError

log = logging.getLogger(__name__)
READ_EVERY: Final = 3.0
"""Seconds between two looks of a reader at the remote."""
READ_PATIENCE: Final = 2.0
"""Seconds that a request waits for the remote where it can do without."""


@dataclass
class Look:
    """What readers know of one folder of the remote."""

    lock: Lock = field(default_factory=Lock)
    looked: float | None = None
    """When; by the clock that `ask` gets."""
    digest: str = ""
    """Of the head that was pulled."""

    def ask(self, work: Callable[[], None], clock: Callable[[], float], *, must: bool, patience: float) -> None:
        """Ask the remote, unless another thread is at it or has just done so.

        Where there is something to serve anyway, the request that looks waits for a moment only: a remote that does
        not answer takes minutes to say so.

        Args:
            work: asks.
            clock: monotonic seconds.
            must: there is nothing to serve without an answer.
            patience: seconds to wait for it where there is.

        Raises:
            StoreError: of ``work``, where there must be an answer.
        """
        if not self.lock.acquire(blocking=must and self.looked is None):
            return

        def run() -> None:
            try:
                if self.looked is None or clock() - self.looked >= READ_EVERY:
                    work()
                    self.looked = clock()
            except StoreError:
                self.looked = clock()
                if must:
                    raise
            except Exception as exc:  # in a thread nobody would hear of it
                log.error("looking at the shared store failed", exc_info=exc)
            finally:
                self.lock.release()

        if must:
            run()
        else:
            thread = Thread(target=run, name="shared store", daemon=True)
            thread.start()
            thread.join(patience)
