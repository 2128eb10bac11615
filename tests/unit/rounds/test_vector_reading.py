"""Tasks as vectors: which parts a question has, what is kept on disk, and which tasks are left out."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from ml_backend.encoders import feature_store
from ml_backend.errors import ConfigurationError, LabelConfigError
from ml_backend.label_studio.labeling_config import parse_label_config, question_from, read_label_config
from ml_backend.label_studio.media import MediaReader
from ml_backend.models.reading import ItemReader
from ml_backend.models.vectors import Vectors, read_parts
from ml_backend.records import Task, Wanted
from ml_backend.rounds.item_reading import known_items, read_items
from ml_backend.rounds.vector_reading import usual_length

ASKED = '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices></View>'
BOTH = f'<View><Text name="t" value="$text"/><Image name="i" value="$image"/>{ASKED}'
AUDIO = f'<View><Audio name="t" value="$audio"/>{ASKED}'
NUMBERS = ItemReader("vectors", lambda raws: read_parts(raws, ""))


def question(xml=AUDIO, **wanted):
    return parse_label_config(xml, wanted=Wanted(**wanted))


@pytest.fixture
def kept(tmp_path):
    feature_store.use(tmp_path)


# --- which parts --------------------------------------------------------------------------------------------------


def test_one_object_alone_is_read_as_before():
    plain = question(BOTH)
    assert (plain.object_tag, plain.parts, plain.shown_as) == ("Text", (), "Text")
    assert question(BOTH, objects="t") == plain
    assert plain.content({"text": "x"}) == "x"


def test_two_objects_are_one_vector():
    both = question(BOTH, objects=" t, i ,t")
    assert (both.object_tag, both.shown_as, [part.field for part in both.parts]) == (
        "Vector",
        "Text",
        ["text", "image"],
    )
    assert both.about == '<Text> "$text" and <Image> "$image"'
    assert both.content({"text": "x", "image": "u"}) == ["x", "u"]
    assert parse_label_config(BOTH, wanted=both.wanted) == both
    assert question_from(json.loads(json.dumps(asdict(both)))) == both


def test_what_is_shown_and_not_learnt_from_is_told():
    assert 'not learnt from: "i" (<Image>); the setting `objects`' in " ".join(read_label_config(BOTH).notes)
    assert read_label_config(BOTH, wanted=Wanted(objects="t,i")).notes == ()


def test_a_list_of_pictures_is_one_vector():
    found = question(f'<View><Image name="t" valueList="$pictures"/>{ASKED}')
    assert (found.object_tag, found.shown_as, found.field, found.parts[0].many) == ("Vector", "", "pictures", True)
    assert parse_label_config(f'<View><Image name="t" valueList="$pictures"/>{ASKED}', wanted=found.wanted) == found


def test_numbers_make_anything_learnable():
    found = question(embedding_field="meta.vector")
    assert (found.object_tag, found.field, found.has_numbers) == ("Vector", "audio", True)
    assert parse_label_config(AUDIO, wanted=found.wanted) == found
    assert question(BOTH, embedding_field="v").shown_as == "Text"


@pytest.mark.parametrize(
    ("xml", "wanted", "reason"),
    [
        (BOTH, {"objects": "t,gone"}, 'no object named "gone"'),
        (AUDIO, {"objects": "t"}, "asks about <Audio>"),
        (AUDIO, {"embedding_field": "$v"}, "no field of a task"),
        (AUDIO, {}, "asks about <Audio>"),
    ],
)
def test_what_cannot_be_learnt_from(xml, wanted, reason):
    with pytest.raises(LabelConfigError) as error:
        question(xml, **wanted)
    assert reason in str(error.value)


# --- reading ------------------------------------------------------------------------------------------------------


def tasks(*values):
    return [Task(number, {"v": value}) for number, value in enumerate(values, 1)]


def test_vectors_that_cannot_be_used_are_left_out_by_task():
    found = question(embedding_field="v")
    pool = [*tasks([1, 2, 3], [0, 0, 1], [1, 2], None, [1, float("nan"), 2], [4, 5, 6]), Task(7, {})]
    assert usual_length(pool, found) == 3
    read = read_items(pool, found, ItemReader(NUMBERS.name, NUMBERS.read, length=3), MediaReader())
    assert read.task_ids.tolist() == [1, 2, 6]
    assert set(read.left_out) == {3, 4, 5, 7}
    assert 'field "v" holds 2 numbers, and those of most tasks 3' in read.left_out[3]
    assert "no list" in read.left_out[4]
    assert "no list" in read.left_out[7]
    assert "'nan' at place 1" in read.left_out[5]


def test_the_usual_length_of_nothing():
    assert usual_length([], question(embedding_field="v")) == 0
    assert usual_length(tasks([1]), question(BOTH)) == 0
    assert usual_length(tasks([1], [1, 2]), question(embedding_field="v")) == 2, "a tie is not left to chance"


def test_a_field_that_no_task_has_is_told_once_with_those_that_hold_numbers():
    data = {"vektor": [1, 2], "meta": {"inner": [0.5], "my-field": [1]}, "words": ["a"], "n": 3, "no": []}
    pool = [Task(number, data) for number in range(3)] + [Task(3, {"vektor": [1, 2]})]
    with pytest.raises(ConfigurationError) as error:
        usual_length(pool, question(embedding_field="vector"))
    assert str(error.value) == (
        "No task has a field 'vector', which the setting embedding_field names. Lists of numbers are in: 'vektor' "
        "(4 of 4 tasks), 'meta.inner' (3 of 4 tasks). Name one of these, or take the setting away."
    )
    with pytest.raises(
        ConfigurationError, match=r"has a list of numbers in the field 'words'.*'vektor' \(4 of 4 tasks\)"
    ):
        usual_length(pool, question(embedding_field="words"))
    with pytest.raises(ConfigurationError, match="No field has one: import tasks with them, or take"):
        usual_length(tasks("x"), question(embedding_field="w"))


def test_known_items_are_the_numbers_that_can_be_read():
    known = known_items(tasks([1], "x"), question(embedding_field="v"), NUMBERS, MediaReader())
    assert list(known) == [1]


def test_what_was_encoded_is_read_from_disk(kept):
    found = question(f'<View><Text name="t" value="$a"/><Text name="u" value="$b"/>{ASKED}', objects="t,u")
    pool = [Task(1, {"a": "x", "b": "y"}), Task(2, {"a": "x"}), Task(3, {"a": "y", "b": "y"})]
    asked = []

    def read(raws):
        asked.extend(raws)
        return [np.array([len(asked)], np.float32) for _ in raws]

    reader = ItemReader("counted", read)
    assert known_items(pool, found, reader, MediaReader()) == {}
    first = read_items(pool, found, reader, MediaReader())
    assert (first.task_ids.tolist(), len(asked)) == ([1, 3], 2)
    assert asked[0] == [("Text", "x"), ("Text", "y")]
    assert 'no field "b"' in first.left_out[2]
    again = read_items(pool, found, reader, MediaReader())
    assert (len(asked), [i.tolist() for i in again.items]) == (2, [i.tolist() for i in first.items])
    assert list(known_items(pool, found, reader, MediaReader())) == [1, 3]


def test_a_list_of_pictures_that_is_none():
    found = question(f'<View><Image name="t" valueList="$v"/>{ASKED}')
    read = read_items(tasks("x", [], [7]), found, Vectors.reader({"encoder": ""}), MediaReader())
    assert len(read.left_out) == 3
    assert "no list of 1 to 50 image URLs" in read.left_out[1]
    assert "no image URL" in read.left_out[3]
