"""Several people's answers: the label they give together, and published examples of agreement."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.evaluation.agreement import answers, consensus, krippendorff_alpha, majority, measure
from ml_backend.records import Annotation

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def annotations(*labels, cancelled=()):
    """Annotations of different people in the order given, a minute apart."""
    return [
        Annotation(n, n, NOON + timedelta(minutes=n), cancelled=n in cancelled, label=label)
        for n, label in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ([], None),
        (annotations("a"), "a"),
        (annotations("a", "a", "b"), "a"),
        (annotations("b", "a", "a", "b", "b"), "b"),
        (annotations("a", "b"), None),
        (annotations("a", "b", "b", "a"), None),
        (annotations("a", "b", "b", "a", "c"), None),
        (annotations("a", "b", "c", "c"), "c"),
        (annotations("a", "b", cancelled=[1]), "a"),
        (annotations("a", "a", "b", cancelled=[0, 1]), "b"),
        (annotations("a", cancelled=[0]), None),
        (annotations(None, "a", None), "a"),
        (annotations(None), None),
    ],
)
def test_consensus(given, label):
    assert consensus(given) == label
    assert consensus(reversed(given)) == label


def test_a_person_counts_once_with_the_newest_answer():
    first, second = Annotation(1, 7, NOON, label="a"), Annotation(2, 7, NOON + timedelta(hours=1), label="b")
    other = Annotation(3, 8, NOON + timedelta(minutes=1), label="a")
    assert answers([second, first]) == ("b",)
    assert answers([first, second, other]) == ("a", "b")
    corrected = Annotation(1, 7, NOON + timedelta(hours=2), label="a")
    assert consensus([corrected, second]) == "a"


def test_of_one_instant_the_larger_id_is_newer():
    assert answers([Annotation(2, 0, NOON, label="b"), Annotation(1, 0, NOON, label="a")]) == ("b",)


def test_annotations_that_name_nobody_are_of_different_people():
    assert answers([Annotation(n, None, NOON, label="a") for n in (1, 2)]) == ("a", "a")


def units(*people):
    """Columns of a table with a row for each person; a dot is a missing answer."""
    return [[value for value in column if value != "."] for column in zip(*map(str.split, people), strict=True)]


@pytest.mark.parametrize(
    ("people", "alpha"),
    [
        # Krippendorff 2011, sections A, B and C (there for nominal data).
        (("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"), 0.095),
        (("a a b b d c c c e d d a", "b a b b b c c c e d d d"), 0.692),
        (
            (
                "1 2 3 3 2 1 4 1 2 . . .",
                "1 2 3 3 2 2 4 1 2 5 . 3",
                ". 3 3 3 2 3 4 2 2 5 1 .",
                "1 2 3 3 2 4 4 1 2 5 1 .",
            ),
            0.743,
        ),
        # By hand: o_ab = o_ba = 1 of n = 4 answers, two each: 1 - 3 * 2 / (2 * 2 + 2 * 2).
        (("a a", "b b"), 1 - (4 - 1) * 4 / 8),
        (("a b", "a b"), 1.0),
    ],
)
def test_published_alphas(people, alpha):
    assert krippendorff_alpha(units(*people)) == pytest.approx(alpha, abs=5e-4)


def test_agreement_by_hand():
    found = measure([("a", "a"), ("a", "b"), ("a", "a", "b"), ("b",), ()])
    assert (found.tasks, found.answers, found.tied) == (3, 7, 1)
    assert found.percent == pytest.approx(100 * (1 + 0 + 1 / 3) / 3)  # of a, a, b one pair of three is equal
    assert str(found).startswith("44 % agreement on 3 tasks with several answers (Krippendorff's alpha ")


def test_nothing_to_measure():
    assert measure([]) is None
    assert measure([("a",), ("b",), ()]) is None
    unanimous = measure([("a", "a"), ("a", "a", "a")])
    assert (unanimous.percent, unanimous.alpha) == (100, None)
    assert "no alpha" in str(unanimous)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=8))
def test_alpha_is_at_most_one_and_one_only_without_a_difference(tables):
    alpha = krippendorff_alpha(tables)
    if alpha is not None:
        assert alpha <= 1
        assert (alpha == pytest.approx(1)) == all(len(set(unit)) < 2 for unit in tables)


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_a_majority_is_strictly_the_largest(labels):
    winner = majority(labels)
    counts = sorted(map(labels.count, set(labels)), reverse=True)
    assert (winner is None) == (len(counts) > 1 and counts[0] == counts[1])
    assert winner is None or labels.count(winner) == counts[0]
