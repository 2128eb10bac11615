"""Vectors on disk are a test's own: where a process keeps them is one setting for all that run in it."""

from collections.abc import Iterator

import pytest

from ml_backend.encoders import feature_store


def restored() -> Iterator[None]:
    """What rounds and pages set in this process is no longer set for the next test, which would find its vectors."""
    before = feature_store.kept()
    yield
    feature_store._Kept.store = before


features_of_a_test = pytest.fixture(autouse=True)(restored)
features_of_a_file = pytest.fixture(autouse=True, scope="module")(restored)
