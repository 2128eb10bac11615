"""Folders that encoders may be loaded from: whoever changes a project's settings can type any folder's name.

Loading one runs what libraries make of its files, and what goes wrong tells which files there are. So only folders
below those that the installation's owner named are looked into.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ml_backend.errors import ConfigurationError

LIBRARY: Final = "sentence_transformers:"
"""Begins the name of an encoder of texts that is no packaged one: a folder, or a name in that library's cache."""
CACHED: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
"""A name in the cache of Hugging Face's hub."""


class _Allowed:
    """For this process; none, until its edge says so."""

    folders: tuple[Path, ...] = ()


def parse_folders(text: str) -> tuple[Path, ...]:
    """Folders of a list with ``os.pathsep`` between them, links followed.

    Raises:
        ValueError: one is no absolute path.
    """
    found = [Path(part.strip()).expanduser() for part in text.split(os.pathsep) if part.strip()]
    for path in found:
        if not path.is_absolute():
            raise ValueError(f"{str(path)!r} is no absolute path of a folder")
    return tuple(path.resolve() for path in found)


def allow(folders: Sequence[Path]) -> None:
    """From now on, in the whole process, encoders may lie below these folders, and nowhere else."""
    _Allowed.folders = tuple(folders)


def check_folder(name: str, allowed: Sequence[Path] | None = None) -> None:
    """See to it that an encoder's name leads into no folder but an allowed one.

    Args:
        name: as a setting has it; a packaged encoder, or a library's name, is no folder.
        allowed: as `parse_folders` gives them; None: those of `allow`.

    Raises:
        ConfigurationError: it does; whether the folder exists is not told.
    """
    folders = _Allowed.folders if allowed is None else allowed
    if not _is_folder(name) or any(_below(name.removeprefix(LIBRARY), folder) for folder in folders):
        return
    places = os.pathsep.join(map(str, folders)) or "none"
    raise ConfigurationError(
        f"The encoder {name!r} is a folder outside those that encoders may be loaded from ({places}): have the owner "
        "of the backend name the folder above it in ENCODER_FOLDERS, or choose a packaged encoder."
    )


def _is_folder(name: str) -> bool:
    if name.startswith(LIBRARY):
        path = name.removeprefix(LIBRARY)
        return not CACHED.fullmatch(path) or Path(path).exists()  # the library, too, looks for a folder first
    return name.startswith(("/", ".", "~"))


def _below(text: str, folder: Path) -> bool:
    try:
        return Path(text).expanduser().resolve().is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):  # no path at all, an unknown user's home, links in a circle
        return False
