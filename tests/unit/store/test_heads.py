"""The models of the questions beside the first: they come back as they were, and go with their queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ml_backend.errors import StoreError
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.models.registry import MODELS
from ml_backend.records import Wanted
from ml_backend.store.heads import Head, path_of, read_heads, write_heads

XML = """<View><Text name="t" value="$text"/><Choices name="topic" toName="t"><Choice value="a"/>
<Choice value="b"/></Choices><Taxonomy name="kind" toName="t">
<Choice value="B"><Choice value="x"/><Choice value="y"/><Choice value="z"/></Choice>
</Taxonomy></View>"""
ITEMS = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


@pytest.fixture
def heads() -> tuple[Head, ...]:
    found = []
    for name, count in (("topic", 2), ("kind", 3)):
        question = parse_label_config(XML, wanted=Wanted(name, embedding_field="numbers"))
        model = MODELS["vectors"](question.labels)
        model.fit(list(ITEMS), np.arange(30) % count, seed=0)
        found.append(Head(question, model, 1.0 + count, count == 3, {"penalty": None}, 4, "f" * 8))
    return tuple(found)


def test_they_come_back_as_they_were_written(tmp_path: Path, heads: tuple[Head, ...]) -> None:
    write_heads(tmp_path, "v.auto-0001", heads)
    back = read_heads(tmp_path, "v.auto-0001")
    assert [(h.question, h.weight, h.shown, h.hyperparameters, h.length, h.fingerprint) for h in back] == [
        (h.question, h.weight, h.shown, h.hyperparameters, h.length, h.fingerprint) for h in heads
    ]
    for new, old in zip(back, heads, strict=True):
        np.testing.assert_array_equal(new.model.probabilities(list(ITEMS)), old.model.probabilities(list(ITEMS)))


def test_those_of_other_queues_go_but_not_of_the_one_that_people_still_get(
    tmp_path: Path, heads: tuple[Head, ...]
) -> None:
    for number in (1, 2, 3):
        write_heads(tmp_path, f"v.auto-000{number}", heads, keep=[f"v.auto-000{number - 1}"])
    assert [bool(read_heads(tmp_path, f"v.auto-000{number}")) for number in (1, 2, 3)] == [False, True, True]
    write_heads(tmp_path, "v.auto-0004", [])
    assert list((tmp_path / "heads").iterdir()) == []


@pytest.mark.parametrize("damage", [lambda raw: raw[:200], lambda raw: raw.replace(b"vectors", b"vectorz")])
def test_a_damaged_file_is_told(tmp_path: Path, heads: tuple[Head, ...], damage: Callable[[bytes], bytes]) -> None:
    write_heads(tmp_path, "v.auto-0001", heads)
    path = path_of(tmp_path, "v.auto-0001")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StoreError, match="damaged"):
        read_heads(tmp_path, "v.auto-0001")
