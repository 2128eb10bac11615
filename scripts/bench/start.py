"""A Label Studio for a benchmark, and the settings of a backend beside it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from processes import free_port, start_label_studio

from ml_backend.cli.common import messages
from ml_backend.config import Settings, load_settings
from ml_backend.label_studio.client import LabelStudioClient


def start_studio(
    children: ExitStack, root: Path, *, extra_env: Mapping[str, str] | None = None, timeout: float = 3600, **chosen: Any
) -> tuple[LabelStudioClient, Settings]:
    """Start one, to be stopped with ``children``.

    Args:
        children: ends what was started.
        root: folder of all files.
        extra_env: of Label Studio.
        timeout: of the client's requests in seconds.
        chosen: settings of the backend beside the usual ones.
    """
    messages.print("Starting Label Studio ...")
    studio = start_label_studio(root / "label-studio", extra_env=extra_env)
    children.callback(studio.stop)
    settings = load_settings(
        label_studio_url=studio.url,
        label_studio_api_key=studio.token,
        model_dir=root / "versions",
        port=free_port(),
        basic_auth_user="bench",
        basic_auth_pass="bench",  # noqa: S106 - lives as long as this run
        **chosen,
    )
    client = LabelStudioClient(studio.url, studio.token, timeout=timeout)
    children.callback(client.close)
    return client, settings
