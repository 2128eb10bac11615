"""What a row's task holds, and what one pass leaves for the next round."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ml_backend.config import ProjectSettings
from ml_backend.errors import BadItemError, StoreError
from ml_backend.pool.last_pass import FILE, LastPass, note, read_candidates, stored, write_candidates
from ml_backend.pool.row_items import sample_of
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.row_tasks import MOST_BYTES, picture_data, task_data
from ml_backend.pool.rows import Rows
from ml_backend.records import Task
from ml_backend.selection.control_arm import control_order
from ml_backend.store.documents import POOL_PASS
from ml_backend.store.project_store import ProjectStore


def png(side=8, noise=False):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8) if noise else None
    picture = Image.fromarray(pixels) if pixels is not None else Image.new("RGB", (side, side))
    held = io.BytesIO()
    picture.save(held, format="PNG")
    return held.getvalue()


def test_the_sample_of_a_project_is_the_head_of_the_control_order():
    keys = row_keys([f"r{number}" for number in range(300)])
    tasks = [Task(task, {}) for task in (4, 9, *keys.tolist())]
    project = SimpleNamespace(pool=SimpleNamespace(open=tasks), settings=ProjectSettings(seed=5))
    found = [task.id for task in sample_of(project, 40)]
    assert found == control_order(keys, 5, 40).tolist()


class Pictures:
    """A pool of pictures."""

    def __init__(self, **rows):
        self._rows = rows

    def rows(self, ids):
        return {name: {"image": self._rows[name]} for name in ids if name in self._rows}


def test_a_text_with_its_rows_id_also_deep_in_the_data():
    assert task_data("7", {"text": "flood"}) == {"text": "flood", "pool_id": "7"}
    assert task_data("7", {"meta.text": "flood"}) == {"meta": {"text": "flood"}, "pool_id": "7"}


def test_a_picture_is_embedded_and_a_large_one_made_small():
    data = task_data("a.png", {"image": png()})
    assert data["image"].startswith("data:image/png;base64,")
    large = png(800, noise=True)
    assert len(large) > MOST_BYTES
    assert len(task_data("b.png", {"image": large})["image"]) < MOST_BYTES


def test_pictures_that_are_gone_or_damaged_are_told_and_hold_up_no_other():
    made, lost = picture_data(Pictures(a=png(), b=b"no picture", c=None), ["a", "b", "c", "d"])
    assert list(made) == ["a"]
    assert [line.split(" (")[0] for line in lost] == ["b", "c", "d"]
    with pytest.raises(BadItemError):
        task_data("b", {"image": b"no picture"})


def test_candidates_come_back_as_they_were(tmp_path):
    rows = Rows.of(["a", "b", "ü"], np.random.default_rng(0).normal(size=(3, 4)).astype(np.float16))
    data = [{"text": "x", "pool_id": "a"}, {}, {"text": "ß", "pool_id": "ü"}]
    write_candidates(tmp_path / "new", rows, data)
    found = read_candidates(tmp_path / "new")
    assert found is not None
    assert found[0].names == rows.names
    assert found[0].keys.tolist() == rows.keys.tolist()
    assert (found[0].vectors == rows.vectors).all()
    assert found[1] == data


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no"])
def test_candidates_that_are_missing_or_damaged_are_found_anew(tmp_path, content):
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    assert read_candidates(tmp_path) is None


def test_facts_of_the_last_pass(tmp_path):
    store = ProjectStore(tmp_path, "1.1")
    assert stored(store) is None
    facts = LastPass("2026-01-01T00:00:00+00:00", "sentences-0001-aaaaaaaa", "minilm", 10, 5, 2, 2, 1, 0.5, 3, 7)
    note(store, facts)
    assert stored(store) == facts
    store.write_document(POOL_PASS, {"at": "x", "of_a_later_release": 1})
    assert stored(store) == LastPass("x")
    (store.folder / POOL_PASS).write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        stored(store)
