"""Features on disk: what was computed once is not computed again, and a bad disk costs time alone."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.logs import said

from ml_backend.encoders import feature_store
from ml_backend.encoders.feature_store import BLOCK, FeatureStore, content_key, through_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which this process keeps features, for one test."""
    feature_store.use(tmp_path)
    return tmp_path / feature_store.FOLDER


class Counted:
    """A stand-in encoder that counts what it computes."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += texts
        return np.array([[len(text), 1 / 3] for text in texts], np.float32)


def asked(texts: Sequence[str], compute: Counted, name: str = "counted") -> NDArray[np.float32]:
    return through_store(name, [content_key(text) for text in texts], texts, compute)


def test_what_is_kept_is_not_computed_again(folder: Path) -> None:
    first, second = Counted(), Counted()
    before = asked(["a", "bb"], first)
    after = asked(["bb", "ccc", "a"], second)
    assert first.seen == ["a", "bb"]
    assert second.seen == ["ccc"]
    np.testing.assert_array_equal(after[[2, 0]], before)
    assert [path.name for path in folder.iterdir()] == ["counted.sqlite"]
    assert (folder / "counted.sqlite").stat().st_mode & 0o077 == 0


def test_it_does_not_show_what_was_kept(folder: Path) -> None:
    fresh = asked(["a"], Counted())
    kept = asked(["a"], Counted())
    np.testing.assert_array_equal(fresh, kept)
    assert fresh.dtype == np.float32
    np.testing.assert_allclose(fresh, [[1, 1 / 3]], rtol=1e-3)


def test_encoders_do_not_share(folder: Path) -> None:
    asked(["a"], Counted())
    other = Counted()
    asked(["a"], other, "timm:resnet/18")
    third = Counted()
    asked(["a"], third, "timm:resnet?18")
    assert other.seen == third.seen == ["a"]


def test_without_a_folder_all_is_computed() -> None:
    before = feature_store.kept()
    feature_store.use(None)
    try:
        first, second = Counted(), Counted()
        asked(["a"], first)
        asked(["a"], second)
        assert second.seen == ["a"]
    finally:
        feature_store._Kept.store = before


def test_a_killed_round_goes_on_where_it_was(folder: Path) -> None:
    texts = [f"{i}" for i in range(BLOCK + 1)]

    def fails_at_the_second_block(part: Sequence[str]) -> NDArray[np.float32]:
        if str(BLOCK) in part:
            raise KeyboardInterrupt
        return np.zeros((len(part), 2), np.float32)

    with pytest.raises(KeyboardInterrupt):
        through_store("counted", [content_key(t) for t in texts], texts, fails_at_the_second_block)
    again = Counted()
    asked(texts, again)
    assert again.seen == [str(BLOCK)]


def test_arrays_of_other_kinds(folder: Path) -> None:
    store = FeatureStore(folder)
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    store.put("grey", {content_key(b"x"): image})
    found = store.get("grey", [content_key(b"x"), content_key(b"y")])
    assert list(found) == [content_key(b"x")]
    np.testing.assert_array_equal(found[content_key(b"x")], image)
    assert found[content_key(b"x")].dtype == np.uint8


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_damaged_file_costs_time_alone(folder: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir(parents=True)
    (folder / "counted.sqlite").write_bytes(content)
    compute = Counted()
    with caplog.at_level(logging.WARNING):
        rows = asked(["a"], compute)
    assert compute.seen == ["a"]
    assert rows.shape == (1, 2)
    told = said(caplog, "ml_backend.encoders")
    assert bool(told) == bool(content)  # an empty file is an empty database
    assert all("counted.sqlite" in line for line in told)
    asked(["a"], compute)
    assert compute.seen == ["a"], "it is begun anew"


def test_a_damaged_row_is_computed_again(folder: Path) -> None:
    asked(["a"], Counted())
    with sqlite3.connect(folder / "counted.sqlite") as db:
        db.execute("UPDATE rows SET shape = '7,7'")
    db.close()
    compute = Counted()
    asked(["a"], compute)
    asked(["a"], compute)
    assert compute.seen == ["a"], "once"


def test_texts_that_are_no_utf8_have_a_key() -> None:
    assert content_key("\ud800") != content_key("\ud801")
    assert content_key("a") == content_key(b"a")
