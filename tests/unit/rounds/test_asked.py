"""Which question a round goes by, in a project that runs already."""

import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.records import Wanted
from ml_backend.rounds.asked import read_asked
from ml_backend.store.project_store import Current, ProjectStore

UID = "7.1700000000"


def config(*names):
    asked = "".join(
        f'<Choices name="{name}" toName="t"><Choice value="a"/><Choice value="b"/></Choices>' for name in names
    )
    return f'<View><Text name="t" value="$text"/>{asked}</View>'


@pytest.fixture
def running(tmp_path):
    """The store of a project whose order goes by "first"."""
    store = ProjectStore(tmp_path, UID)
    store.note_question(parse_label_config(config("first")), "Running")
    store.set_current(Current(None, "al-queue"))
    return store


def learnt(xml, store, wanted=None):
    return read_asked(xml, 7, store, wanted).question.control


def test_the_question_of_the_order_goes_on(running):
    assert learnt(config("first"), running) == "first"
    assert learnt(config("first", "second"), running) == "first"
    assert learnt(config("second", "first"), running) == "first", "another was put before it"


@pytest.mark.parametrize("xml", [config("renamed"), config("second", "third")])
def test_a_question_that_is_gone_is_not_replaced_silently(running, xml):
    with pytest.raises(LabelConfigError, match='no longer asks "first"') as error:
        learnt(xml, running)
    assert "That order stands" in str(error.value)
    assert "set `question` to its name" in str(error.value)


def test_the_setting_begins_anew(running):
    assert learnt(config("renamed"), running, Wanted("renamed")) == "renamed"
    running.set_extra_params({"question": "renamed"})
    assert learnt(config("renamed"), running) == "renamed"
    with pytest.raises(LabelConfigError, match='no question named "renamed"'):
        learnt(config("first"), running)


def test_before_a_first_order_nothing_is_bound(tmp_path):
    store = ProjectStore(tmp_path, UID)
    store.note_question(parse_label_config(config("first")))
    assert learnt(config("renamed"), store) == "renamed"
    assert learnt(config("renamed"), None) == "renamed"
