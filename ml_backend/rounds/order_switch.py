"""Puts a new order in the place of the old one, so that whatever fails, one whole order stands."""

from __future__ import annotations

from collections.abc import Callable

from ml_backend.errors import LabelStudioError, StoreError
from ml_backend.records import Queue
from ml_backend.rounds.workspace import Run
from ml_backend.store.project_store import Current, ProjectStore


def switch_order(
    store: ProjectStore,
    queue: Queue,
    pinned: str | None,
    run: Run,
    *,
    publish: Callable[[], Queue],
    tidy: Callable[[], None],
) -> Queue:
    """Announce an order in the store, publish it, and tidy up after the one that it replaces.

    The announcement tells a later round what happened where this one is cut off while it publishes.

    Args:
        store: the project's.
        queue: the new order.
        pinned: the version that is pinned from now on, if any.
        run: the round.
        publish: publishes the order in Label Studio; returns it as Label Studio took it.
        tidy: deletes what is not needed any more. People have the new order by then, so that its failure is a warning.

    Raises:
        LabelStudioError: the order could not be published; the old one stands.
    """
    store.write_queue(queue)
    store.announce(Current(queue.version, queue.name, pinned))
    replaced = store.current().queue
    published = publish()
    if published is not queue:
        store.write_queue(published)
    store.settle(published.name)
    run.report.published = True
    try:
        with run.step("tidy"):
            if replaced:
                store.keep_as_served(replaced)
            tidy()
    except (LabelStudioError, StoreError) as exc:  # a later round makes the rest right
        run.warn(f"The new order is served, but replaced ones or the tab were not tidied: {exc}")
    return published
