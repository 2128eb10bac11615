"""Limits how often, and for how long, readers ask the shared store."""

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
"""Seconds that a request waits for the remote if it can be answered without it."""


@dataclass
class Look:
    """What readers know about one folder of the remote."""

    lock: Lock = field(default_factory=Lock)
    looked: float | None = None
    """When a reader last looked, by the clock that `ask` is given."""
    digest: str = ""
    """Digest of the head that was pulled."""

    def ask(self, work: Callable[[], None], clock: Callable[[], float], *, must: bool, patience: float) -> None:
        """Ask the remote, unless another thread is doing so or has just done so.

        If the request can be answered from what is here, it waits only for a moment: a remote that is down may take
        minutes to say so.

        Args:
            work: asks the remote.
            clock: monotonic seconds.
            must: nothing can be answered without the remote.
            patience: seconds to wait for it otherwise.

        Raises:
            StoreError: from ``work``, if ``must``.
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
            except Exception as exc:  # an error in a thread would go unnoticed
                log.error("looking at the shared store failed", exc_info=exc)
            finally:
                self.lock.release()

        if must:
            run()
        else:
            thread = Thread(target=run, name="shared store", daemon=True)
            thread.start()
            thread.join(patience)
