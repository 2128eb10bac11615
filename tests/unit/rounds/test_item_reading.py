"""Pictures are fetched and read once: what one round read, the next and other processes take from disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from ml_backend.encoders import feature_store
from ml_backend.errors import BadItemError
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.models.reading import ItemReader
from ml_backend.records import Task
from ml_backend.rounds.item_reading import BLOCK, known_items, read_items

CONFIG = """<View><Image name="item" value="$image"/><Choices name="label" toName="item">
<Choice value="a"/><Choice value="b"/></Choices></View>"""
QUESTION = parse_label_config(CONFIG)


class Media:
    """Stands for what fetches: by URL, counting."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def shown(self, task: Task, question: ChoiceQuestion) -> bytes:
        url = task.data[question.field]
        self.fetched.append(url)
        if url.startswith("gone"):
            raise BadItemError(f"{url} is not there")
        return url.split("#")[0].encode()


class Reads:
    """A model's reader that counts."""

    def __init__(self, name: str = "counted", *, rounded: bool = False) -> None:
        self.read: list[bytes] = []
        self.most = 0
        self.reader = ItemReader(name, self._read, rounded)

    def _read(self, raws: Sequence[bytes]) -> list[Any]:
        self.read += raws
        self.most = max(self.most, len(raws))
        return [
            BadItemError("no picture") if raw == b"bad" else np.array([len(raw), 1 / 3], np.float32) for raw in raws
        ]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path) -> None:
    feature_store.use(tmp_path)


def tasks(*urls: str) -> list[Task]:
    return [Task(number, {"image": url}) for number, url in enumerate(urls, start=1)]


def test_nothing_is_fetched_or_read_twice() -> None:
    first, again = Reads(), Reads()
    media, later = Media(), Media()
    before = read_items(tasks("x", "yy"), QUESTION, first.reader, media)
    after = read_items(tasks("yy", "zzz", "x"), QUESTION, again.reader, later)
    assert sorted(media.fetched) == ["x", "yy"]
    assert later.fetched == ["zzz"]
    assert again.read == [b"zzz"]
    np.testing.assert_array_equal(np.stack(after.items)[[2, 0]], np.stack(before.items))
    assert after.items[0].dtype == np.float32


def test_equal_content_under_two_addresses_is_known_by_its_content() -> None:
    read_items(tasks("x#1"), QUESTION, Reads().reader, Media())
    other = Media()
    read_items(tasks("x#2"), QUESTION, Reads().reader, other)
    assert other.fetched == ["x#2"]
    known = known_items(tasks("x#1", "x#2", "y"), QUESTION, Reads().reader, Media())  # type: ignore[arg-type]
    assert sorted(known) == [1, 2]


def test_what_cannot_be_read_is_left_out_and_tried_again() -> None:
    media = Media()
    found = read_items(tasks("x", "gone", "bad"), QUESTION, Reads().reader, media)
    assert found.task_ids.tolist() == [1]
    assert found.left_out == {2: "gone is not there", 3: "no picture"}
    later = Media()
    read_items(tasks("x", "gone", "bad"), QUESTION, Reads().reader, later)
    assert sorted(later.fetched) == ["bad", "gone"]


def test_a_field_that_is_missing_is_said() -> None:
    class Strict(Media):
        def shown(self, task: Task, question: ChoiceQuestion) -> bytes:
            raise BadItemError(f'no field "{question.field}"')

    found = read_items([Task(1, {"text": "x"})], QUESTION, Reads().reader, Strict())
    assert found.left_out == {1: 'no field "image"'}


def test_few_pictures_are_held_at_a_time() -> None:
    counted, seen = Reads(), list[tuple[int, int]]()
    count = 2 * BLOCK + 5
    urls = [f"{number:04}" for number in range(count)]
    read_items(tasks(*urls), QUESTION, counted.reader, Media(), lambda done, total: seen.append((done, total)))
    assert counted.most == BLOCK
    assert seen == [(0, count), (BLOCK, count), (2 * BLOCK, count), (count, count)]


def test_the_next_pictures_are_fetched_while_some_are_read() -> None:
    """Fetching waits for a server, and reading for the processor."""
    ahead, media = Event(), Media()

    class Watching(Media):
        def shown(self, task: Task, question: ChoiceQuestion) -> bytes:
            if task.id > BLOCK:
                ahead.set()
            return media.shown(task, question)

    def read(raws: Sequence[bytes]) -> list[Any]:
        assert ahead.wait(60), "nothing was fetched meanwhile"
        return [np.ones(1, np.float32) for _ in raws]

    urls = [str(number) for number in range(3 * BLOCK)]
    found = read_items(tasks(*urls), QUESTION, ItemReader("waits", read), Watching())
    assert (len(found.items), len(media.fetched)) == (3 * BLOCK, 3 * BLOCK)


def test_it_does_not_show_which_vectors_were_kept() -> None:
    fresh = read_items(tasks("x"), QUESTION, Reads(rounded=True).reader, Media()).items[0]
    again = read_items(tasks("x"), QUESTION, Reads(rounded=True).reader, Media()).items[0]
    np.testing.assert_array_equal(fresh, again)
    assert fresh[1] == np.float32(np.float16(1 / 3))


def test_items_that_are_no_arrays_are_read_each_time() -> None:
    reader = ItemReader("objects", lambda raws: [raw.decode() for raw in raws])
    read_items(tasks("x"), QUESTION, reader, Media())
    media = Media()
    assert read_items(tasks("x"), QUESTION, reader, media).items == ["x"]
    assert media.fetched == ["x"]


def beside(columns: Sequence[Sequence[Any]]) -> list[Any]:
    """Vectors end to end, or what is wrong with the first."""
    return [
        one if isinstance(one, BadItemError) else np.concatenate([one, two]) for one, two in zip(*columns, strict=True)
    ]


def side_by_side(one: Reads, two: Reads) -> tuple[ItemReader, list[bytes]]:
    """A reader of both, and what it read for both at once."""
    together: list[bytes] = []

    def each(raws: Sequence[bytes]) -> list[list[Any]]:
        together.extend(raws)
        return [one.reader.read(raws), two.reader.read(raws)]

    parts = (one.reader, two.reader)
    return ItemReader("pair", pytest.fail, rounded=True, parts=parts, read_each=each, join=beside), together


def test_of_items_side_by_side_each_part_is_read_once_by_whoever_needs_it() -> None:
    """A project that changes from one encoder to two reads its pictures by the other alone."""
    one, two = Reads("one", rounded=True), Reads("two", rounded=True)
    pair, together = side_by_side(one, two)
    alone = read_items(tasks("x", "yy"), QUESTION, one.reader, Media())
    assert known_items(tasks("x"), QUESTION, pair, Media()) == {}  # type: ignore[arg-type]
    found = read_items(tasks("x", "bad", "yy", "zzz"), QUESTION, pair, Media())
    assert together == [b"bad", b"zzz"], "what neither has, once for both"
    assert (one.read, two.read) == ([b"x", b"yy", b"bad", b"zzz"], [b"bad", b"zzz", b"x", b"yy"])
    assert found.left_out == {2: "no picture"}
    np.testing.assert_array_equal(found.items[1], np.tile(alone.items[1], 2))
    later = Media()
    again = read_items(tasks("x", "yy", "zzz"), QUESTION, pair, later)
    assert (later.fetched, len(one.read), len(two.read), len(together)) == ([], 4, 4, 2)
    np.testing.assert_array_equal(np.stack(again.items), np.stack(found.items))
    third = read_items(tasks("zzz"), QUESTION, Reads("two", rounded=True).reader, later)
    np.testing.assert_array_equal(third.items[0], found.items[2][2:])
