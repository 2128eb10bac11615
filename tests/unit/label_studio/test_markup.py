"""Texts with something around their words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import BadItemError
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.label_studio.markup import words_of_html, words_of_paragraphs
from ml_backend.label_studio.media import MediaReader
from ml_backend.records import Task

ASKED = '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices></View>'


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("plain", "plain"),
        ("<p>one</p><p>two</p>", "one two"),
        ("<b>bo</b>ld &amp; <i>fine</i>", "bold & fine"),
        ("a<br>b<style>p { x }</style><script>if (a < b) {}</script>c", "a b c"),
        ("<html><head><title>no</title></head><body class=x>yes</body></html>", "yes"),
        ("<head><meta x><body>yes", "yes"),
        ("1 < 2 <!-- hidden --> &lt;tag&gt;", "1 < 2 <tag>"),
        ("  a \n\t b  ", "a b"),
    ],
)
def test_html_without_its_tags(html, words):
    assert words_of_html(html) == words


@given(st.text(max_size=60))
def test_whatever_html_is_there_is_read(html):
    assert isinstance(words_of_html(html), str)


def test_utterances_are_lines():
    said = [{"author": "A", "text": " Hello "}, {"author": "B", "text": ""}, {"author": "B", "text": "Hi"}]
    assert words_of_paragraphs(said, "d", "text") == "Hello\nHi"


@pytest.mark.parametrize("value", [None, "x", 7, {}, ["a"], [{"author": "A"}], [{"text": 5}]])
def test_what_is_no_dialogue(value):
    with pytest.raises(BadItemError, match='"d"'):
        words_of_paragraphs(value, "d", "text")


def test_a_task_is_read_as_its_object_shows_it():
    html = parse_label_config(f'<View><HyperText name="t" value="$page"/>{ASKED}')
    assert (html.object_tag, html.field) == ("Text", "page")
    assert MediaReader().shown(Task(1, {"page": "<h1>Big</h1>news"}), html) == "Big news"
    talk = parse_label_config(f'<View><Paragraphs name="t" value="$d.talk" textKey="say"/>{ASKED}')
    assert MediaReader().shown(Task(1, {"d": {"talk": [{"say": "a"}, {"say": "b"}]}}), talk) == "a\nb"
    with pytest.raises(BadItemError, match="is empty"):
        MediaReader().shown(Task(1, {"page": "<p> </p>"}), html)
    with pytest.raises(BadItemError):
        MediaReader().shown(Task(1, {"other": 1}), talk)


def test_a_dialogue_by_url_is_json():
    uri = "data:application/json,%5B%7B%22text%22%3A%22hi%22%7D%5D"
    talk = parse_label_config(f'<View><Paragraphs name="t" value="$d" valueType="url"/>{ASKED}')
    assert MediaReader().shown(Task(1, {"d": uri}), talk) == "hi"
    assert replace(talk, by_url=False) != talk
