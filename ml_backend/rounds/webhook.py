"""A project's webhook sets itself right: Label Studio makes one without password where a backend is connected by hand.

Where Label Studio reaches us is known from its own `/setup`, which carries the backend's password: no other webhook of
the project gets our secret.
"""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Final

from ml_backend.config import Settings
from ml_backend.errors import ActiveLearningError
from ml_backend.label_studio.connection import hasty_client
from ml_backend.label_studio.webhooks import password_header, renew_headers
from ml_backend.store.documents import ADDRESS
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.registry import stores_of

log = logging.getLogger(__name__)
MENDED: Final = (
    "The webhook {url} carried no secret, or an older one, as one that Label Studio makes by itself. It carries the "
    "present one now: labels are heard of at once."
)


def note_address(settings: Settings, store: ProjectStore, address: str) -> None:
    """Remember where Label Studio reaches the backend; without a password no webhook needs a secret."""
    if password_header(settings):
        found = {"address": address.rstrip("/")}
        store.edit_document(ADDRESS, lambda _: found)


def mend_webhooks(settings: Settings, project_id: int) -> list[str]:
    """Give the project's webhooks to us the secret that they need; what was done, in sentences for people.

    Asked without patience: where Label Studio is down, the round that follows waits for it and says so.
    """
    try:
        store = stores_of(settings).open(project_id)
        address = store.document(ADDRESS).get("address") if store is not None else None
        with closing(hasty_client(settings, timeout=settings.request_timeout)) as client:
            changed = renew_headers(client, project_id, settings, backend_url=address)
    except ActiveLearningError as exc:  # rounds go on without it; the doctor names the webhook
        log.warning("project %s: its webhooks could not be looked at: %s", project_id, exc)
        return []
    for url in changed:
        log.warning("project %s: the webhook %s carries the present secret now", project_id, url)
    return [MENDED.format(url=url) for url in changed]
