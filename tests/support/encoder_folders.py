"""Folders that encoders may be loaded from, for one test."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ml_backend.encoders import folders


@pytest.fixture
def allow_folders() -> Iterator[Callable[[Sequence[Path]], None]]:
    """`encoders.folders.allow`; none at first, and what was allowed before at the end."""
    before = folders._Allowed.folders
    folders.allow(())
    yield folders.allow
    folders.allow(before)
