"""The secret that our webhooks carry, in place of the backend's password.

Every user of a Label Studio organisation can read its webhooks including their headers, so whatever is in them is known
to all. Webhooks therefore carry a secret of their own, which opens ``/webhook`` for news of labels and tasks, and
nothing else.

``<MODEL_DIR>/installation/webhook-secret.json`` holds ``current``, ``previous`` and ``made`` (the time). The previous
secret stays valid until the next change, because webhooks of other projects get the current one only with their next
round.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from ml_backend.config import Settings
from ml_backend.errors import StoreError
from ml_backend.files import FILE_MODE, atomic

HEADER: Final = "X-Active-Learning-Webhook"
FOLDER: Final = "installation"
FILE: Final = "webhook-secret.json"
PATIENCE: Final = 10.0
"""Seconds to wait for another process that is making one."""
BYTES: Final = 32


@dataclass(frozen=True)
class WebhookSecret:
    """The secrets that are accepted."""

    current: str
    previous: str | None = None
    made: str = ""
    """When ``current`` was made (ISO 8601); empty if a setting provides it."""

    def __repr__(self) -> str:
        return f"WebhookSecret(made={self.made!r})"

    @property
    def all(self) -> tuple[str, ...]:
        """All accepted secrets, the current one first."""
        return (self.current, self.previous) if self.previous else (self.current,)


def read_webhook_secret(settings: Settings, *, now: datetime | None = None) -> WebhookSecret:
    """The installation's secret, made at the first call.

    Raises:
        StoreError: its file is damaged or cannot be written.
    """
    if settings.webhook_secret is not None:
        return WebhookSecret(settings.webhook_secret.get_secret_value())
    path = secret_path(settings)
    return _read(path) if path.exists() else _make(path, now or datetime.now(UTC), again=False)


def known_webhook_secret(settings: Settings) -> WebhookSecret | None:
    """The installation's secret if there is one; does not make one.

    Raises:
        StoreError: its file is damaged.
    """
    return read_webhook_secret(settings) if settings.webhook_secret or secret_path(settings).exists() else None


def rotate_webhook_secret(settings: Settings, *, now: datetime | None = None) -> WebhookSecret:
    """Make a new secret. The present one stays valid beside it until the next change.

    Raises:
        StoreError: its file cannot be written, or a setting provides the secret.
    """
    if settings.webhook_secret is not None:
        raise StoreError("WEBHOOK_SECRET is set in the environment: change it there, and restart the backend.")
    return _make(secret_path(settings), now or datetime.now(UTC), again=True)


def secret_path(settings: Settings) -> Path:
    """Where the secret is kept."""
    return settings.model_dir / FOLDER / FILE


def _read(path: Path) -> WebhookSecret:
    try:
        content = json.loads(path.read_bytes())
        found = WebhookSecret(**content)
        if not all(isinstance(one, str) and len(one) >= BYTES for one in found.all):
            raise ValueError("no secret in it")
    except (OSError, ValueError, TypeError) as exc:
        raise StoreError(f"{path} is damaged ({type(exc).__name__}); delete it, and run lsal doctor --fix.") from exc
    return found


def _make(path: Path, now: datetime, *, again: bool) -> WebhookSecret:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(f"{path}.lock", timeout=PATIENCE, mode=FILE_MODE):
            before = _read(path) if path.exists() else None
            if before is not None and not again:
                return before  # another process was first
            made = WebhookSecret(
                secrets.token_urlsafe(BYTES), before.current if before else None, now.isoformat(timespec="seconds")
            )
            atomic.write_text(path, json.dumps(asdict(made)))
    except (OSError, Timeout) as exc:
        raise StoreError(f"Cannot write {path} ({exc}); check MODEL_DIR and the disk.") from exc
    return made
