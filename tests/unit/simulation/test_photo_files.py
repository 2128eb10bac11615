"""The grocery photographs: read with their official split, and what is wrong with a table of them."""

import numpy as np
import pytest
from support.examples import EXAMPLES, LABELS
from support.groceries import few_groceries

from ml_backend.encoders import feature_store
from ml_backend.errors import DataError
from ml_backend.models.photos import Photos
from ml_backend.simulation.data import Source
from ml_backend.simulation.design import Design, LabelledData
from ml_backend.simulation.oracle import Oracle


@pytest.fixture
def folder(tmp_path):
    return few_groceries(tmp_path)


@pytest.fixture(autouse=True)
def nothing_kept():
    yield
    feature_store.use(None)


def test_photographs_with_their_official_split(folder):
    loaded = Source("photos", folder, features=folder / "out").load()
    assert (loaded.model, loaded.labels) == (Photos, ("Apple", "Pear"))
    assert loaded.targets.tolist() == [1, 0, 0, 1]
    assert loaded.test.tolist() == [2, 3]
    assert loaded.items[0].shape == (2560,)
    again = Source("photos", folder, features=folder / "out").load()
    np.testing.assert_array_equal(again.items, loaded.items)
    assert list((folder / "out" / "features").glob("*.sqlite"))


def test_a_file_that_is_no_picture_is_named(folder):
    (folder / "groceries" / "Pear" / "train 0.jpg").write_text("no picture", encoding="utf-8")
    with pytest.raises(DataError, match=r"train 0\.jpg: Not a readable image"):
        Source("photos", folder).load()


def test_what_is_set_apart_judges_and_is_never_asked_for():
    items, targets = EXAMPLES["photos"](40)
    apart = np.arange(30, 40)
    data = LabelledData("made up", Photos, LABELS, items, targets, test=apart)
    for seed in range(3):
        oracle = Oracle(data, Design(10, 2, 2, 8), seed)
        assert sorted(oracle.held_out.tolist()) == apart.tolist()
        assert oracle.pool.tolist() == list(range(30))
    part = Oracle(data, Design(4, 2, 2, 8), 0)
    assert set(part.held_out) < set(apart)
    assert part.pool.tolist() == list(range(30)), "the rest of it is no pool"
    with pytest.raises(DataError, match="10 items are set apart, not 11"):
        Oracle(data, Design(11, 2, 2, 8), 0)
