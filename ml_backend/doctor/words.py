"""Wording shared by several checks."""

from __future__ import annotations

import shlex
from datetime import timedelta

from ml_backend.doctor.diagnosis import Context


def command(name: str, context: Context, *arguments: str) -> str:
    """The command line that fixes or shows something."""
    return " ".join([f"lsal {name} --project {context.project_id}", *arguments])


def connect_command(context: Context) -> str:
    """The command line that connects the backend."""
    title, url = shlex.quote(context.project.title), context.backend_url or "URL"
    return f"lsal create-project --config FILE --title {title} --backend-url {url}"


def duration(time: timedelta) -> str:
    """A time span in words."""
    seconds = max(0.0, time.total_seconds())
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return "1 hour" if seconds == 3600 else f"{seconds:.0f} seconds"
