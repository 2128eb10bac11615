"""When to poll next: at regular times, and after growing waits while Label Studio does not answer."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ml_backend.errors import ActiveLearningError
from ml_backend.jobs.trigger import LONGEST_WAIT

log = logging.getLogger(__name__)
FIRST_WAIT = 5.0
"""Seconds until the next poll after Label Studio did not answer; doubled each time."""


class PollTimes:
    """Knows when the next poll is due.

    Args:
        clock: monotonic seconds.
        every: seconds between two polls; 0: none is ever due.
    """

    def __init__(self, clock: Callable[[], float], every: float) -> None:
        self.every = every
        self.error: str | None = None
        """What failed in the last poll; None if nothing did."""
        self._clock = clock
        self._next = clock()
        self._failures = 0

    @property
    def is_due(self) -> bool:
        """Whether it is time to poll."""
        return self.every > 0 and self._clock() >= self._next

    def done(self, problem: ActiveLearningError | None) -> None:
        """Note a poll that has ended, and what failed in it; the first failure in a row is logged, and its end."""
        if problem is None:
            if self.error is not None:
                log.info("looking for changes works again")
            self.error, self._failures, wait = None, 0, self.every
        else:
            if self.error is None:
                log.warning("looking for changes fails; it is tried again with growing waits: %s", problem)
            wait = min(FIRST_WAIT * 2 ** min(self._failures, 30), LONGEST_WAIT)
            self.error, self._failures = str(problem), self._failures + 1
        self._next = self._clock() + wait
