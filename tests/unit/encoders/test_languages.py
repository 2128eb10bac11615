"""Whether texts are English: which encoder a project of texts begins with."""

import csv
import random
import re
from collections import defaultdict
from pathlib import Path

import django
import pytest
from support.languages import MEANINGS

from ml_backend.encoders.languages import COMMON, ENGLISH, MANY, language_hint
from ml_backend.encoders.text_vectors import PACKAGED

LOCALES = Path(django.__file__).parent
QUOTED = re.compile(r'^"(.*)"$', re.M)


def sentences(catalogue):
    """What Django says in a language to people who fill in forms."""
    found = []
    for block in catalogue.split("\n\n"):
        _, said, text = block.partition("msgstr ")
        joined = "".join(QUOTED.findall(text)) if said and "fuzzy" not in block else ""
        found.append(re.sub(r"%\(\w+\)\w|%[sd]|<[^>]+>|\{\w*\}|\\n", " ", joined))
    return [text for text in found if len(text) > 30]


def translations():
    """Language → Django's sentences."""
    found = defaultdict(list)
    for path in sorted(LOCALES.rglob("locale/*/LC_MESSAGES/django.po")):
        found[path.parts[-3]] += sentences(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("language", [language for language in MEANINGS if language != "en"])
def test_eight_short_texts_of_one_language(language):
    hint = language_hint(MEANINGS[language])
    assert hint.encoder == MANY, hint.reason


def test_sentences_of_django():
    others = {name: texts for name, texts in translations().items() if not name.startswith("en") and len(texts) > 30}
    assert len(others) > 80
    wrong = {name: hint.reason for name, texts in others.items() if (hint := language_hint(texts)).encoder != MANY}
    assert wrong == {}


def english(folder):
    with (folder / "ag_news" / "test.csv").open(encoding="utf-8", newline="") as file:
        titles = [row[1] for row in csv.reader(file)]
    with (folder / "headlines" / "abc_2003_20k.csv").open(encoding="utf-8", newline="") as file:
        headlines = [row[1] for row in csv.reader(file)]
    return {"titles": titles, "headlines": headlines, "tweets": [tweet(t, i) for i, t in enumerate(titles)]}


def tweet(title, seed):
    """A title as a noisy tweet: words lost, letters lost and swapped, names, tags and links around it."""
    drawn = random.Random(seed)
    words = [word for word in title.lower().split() if drawn.random() > 0.15]
    words = [word if drawn.random() > 0.25 else word[:2] + word[3:] for word in words]
    ends = drawn.sample(["#fire", "http://t.co/aB3xYz", "lol", "😂😂", "@someone", "smh"], 3)
    return " ".join(["@user", *words, *ends])


@pytest.mark.parametrize("kind", ["titles", "headlines", "tweets"])
def test_english_is_known_from_50_texts(kind, shared_data):
    texts = english(shared_data)[kind]
    hints = [language_hint(random.Random(seed).sample(texts, 50)) for seed in range(100)]
    assert [hint.reason for hint in hints if hint.encoder != ENGLISH] == []
    assert language_hint(texts).encoder == ENGLISH


def test_several_languages_in_one_project():
    five = [text for language in ("en", "de", "fr", "ru", "ja") for text in MEANINGS[language]]
    hint = language_hint(five)
    assert (hint.encoder, hint.reason) == (MANY, "40% of the texts are not in Latin letters.")
    latin = [text for language in ("en", "de", "fr", "pl", "tr") for text in MEANINGS[language]]
    assert language_hint(latin).encoder == ENGLISH  # a fifth of them: the labels decide, later


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([], "No text has a word"),
        (["😂😂", "12345", "http://t.co/x @me #tag"], "No text has a word"),
        (["Feuer im Hafen"], "3 words are too few"),
        (["ok"] * 5_000, r"0.0% of the words are common English ones: the texts are not"),
    ],
)
def test_where_there_is_little_to_tell_from(texts, reason):
    hint = language_hint(texts)
    assert hint.reason.startswith(reason)
    assert hint.encoder == (MANY if len(texts) > 100 else ENGLISH)


def test_it_names_encoders_that_there_are():
    assert {ENGLISH, MANY} <= set(PACKAGED)
    assert all(word == word.lower() and word.isalpha() for word in COMMON)
