"""The product as one server process runs it, beside a real Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.label_studio import LiveLabelStudio
from support.serving import ServedApp, forget_client

from ml_backend.application import Application
from ml_backend.config import Settings


@contextmanager
def served_application(
    label_studio: LiveLabelStudio, folder: Path, *, queue_size: int
) -> Iterator[tuple[Application, Settings, str]]:
    """The product, its settings and its address; nothing is watched before it is started."""
    with pytest.MonkeyPatch.context() as environment:
        for name in Settings.model_fields:
            environment.delenv(name.upper(), raising=False)
        settings = Settings(
            label_studio_url=label_studio.url,
            label_studio_api_key=label_studio.token,
            model_dir=folder / "versions",
            queue_size=queue_size,
            poll_seconds=0,
        )
        made = Application(settings)
        served = ServedApp(made.web, made._doorkeeper)
        try:
            yield made, settings, served.url
        finally:
            made.stop()
            served.close()
            forget_client(settings)
