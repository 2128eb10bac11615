"""The webhook's own secret: made once, private, changed with one before it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from ml_backend.config import Settings
from ml_backend.errors import StoreError
from ml_backend.label_studio.webhook_secret import (
    WebhookSecret,
    known_webhook_secret,
    read_webhook_secret,
    rotate_webhook_secret,
    secret_path,
)

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def test_it_is_made_once_and_nobody_else_can_read_it(settings: Settings) -> None:
    assert known_webhook_secret(settings) is None
    made = read_webhook_secret(settings, now=NOW)
    assert len(made.current) >= 32
    assert (made.previous, made.made) == (None, "2026-11-29T00:00:00+00:00")
    assert read_webhook_secret(settings) == known_webhook_secret(settings) == made
    assert secret_path(settings).stat().st_mode & 0o777 == 0o600
    assert secret_path(settings).parent.stat().st_mode & 0o777 == 0o700
    assert made.current not in repr(made)


def test_processes_that_start_together_make_one(settings: Settings) -> None:
    found: list[WebhookSecret] = []
    threads = [Thread(target=lambda: found.append(read_webhook_secret(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_change_keeps_the_one_before(settings: Settings) -> None:
    first = read_webhook_secret(settings)
    second = rotate_webhook_secret(settings, now=NOW)
    assert (second.previous, second.all) == (first.current, (second.current, first.current))
    assert rotate_webhook_secret(settings).previous == second.current


def test_a_setting_gives_it(settings: Settings) -> None:
    given = Settings(model_dir=settings.model_dir, webhook_secret="s" * 32)
    assert read_webhook_secret(given).all == ("s" * 32,)
    assert not secret_path(given).exists()
    with pytest.raises(StoreError, match="WEBHOOK_SECRET is set"):
        rotate_webhook_secret(given)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"current": ""}', '{"current": "short"}', '{"current": 5}'])
def test_a_damaged_file_is_named(settings: Settings, content: str) -> None:
    path: Path = secret_path(settings)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(StoreError, match=r"webhook-secret\.json is damaged"):
        read_webhook_secret(settings)
