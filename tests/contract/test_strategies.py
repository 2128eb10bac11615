"""The contract that every registered strategy and mixture keeps."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import strategies_table
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pools import ALL, BATCH_AWARE, FIRST_ID, MIX, inputs

from ml_backend.errors import AcquisitionError
from ml_backend.label_studio.queue_names import parse_queue_name, queue_name
from ml_backend.selection.choose import choose
from ml_backend.selection.ordering import after_queue, inputs_of, queue_scores, uncertainty
from ml_backend.strategies.inputs import NEEDS, check_needs
from ml_backend.strategies.mixture import interleave, itemwise, needs, parse_strategy, part_counts, short_name
from ml_backend.strategies.registry import STRATEGIES


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("count", [1, 7, 40, 100])
def test_picks_are_distinct_and_as_many_as_can_be(strategy, count):
    known = inputs()
    chosen = choose(strategy, known, count)
    assert len(chosen.task_ids) == len(chosen.picked_by) == len(chosen.utility) == min(count, len(known))
    assert len(set(chosen.task_ids.tolist())) == len(chosen.task_ids)
    assert chosen.task_ids.dtype == np.int64
    values = chosen.utility
    assert np.isfinite(values).all()
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values) <= 0).all()
    assert (np.diff(queue_scores(values)) > 0).all()
    assert set(chosen.reasons) <= set(chosen.task_ids.tolist())
    told = [reason.format(*(f"{{class {i}}}" for i in range(known.classes))) for reason in chosen.reasons.values()]
    assert all(text and not text.endswith(".") for text in told)


@pytest.mark.parametrize("strategy", ALL)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_the_order_of_the_items_does_not_matter(strategy, data):
    known = inputs(24, seed=data.draw(st.integers(0, 5)))
    order = np.array(data.draw(st.permutations(range(24))))
    assert choose(strategy, known, 9).task_ids.tolist() == choose(strategy, known.take(order), 9).task_ids.tolist()


@pytest.mark.parametrize("strategy", ALL)
def test_nothing_it_is_given_is_changed(strategy):
    known, same = inputs(), inputs()
    choose(strategy, known, 10)
    for name in ("probabilities", "embeddings", "labelled", "validation", "wrong", "draws", "noise", "task_ids"):
        np.testing.assert_array_equal(getattr(known, name), getattr(same, name))
    assert (known.features != same.features).nnz == 0


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("items", [0, 1, 2])
def test_hardly_any_items(strategy, items):
    assert len(choose(strategy, inputs(items), 5).task_ids) == items
    assert len(choose(strategy, inputs(items), 0).task_ids) == 0


@pytest.mark.parametrize("strategy", ALL)
def test_no_labels_yet(strategy):
    known = inputs()
    known = replace(known, labelled=known.labelled[:0], labelled_features=known.labelled_features[:0])
    assert len(set(choose(strategy, known, 9).task_ids.tolist())) == 9


@pytest.mark.parametrize("strategy", ALL)
def test_items_that_are_all_alike_come_in_an_order_drawn_from_the_seed(strategy):
    known = inputs(30, of=np.zeros(30, int))
    chosen = choose(strategy, known, 30).task_ids.tolist()
    assert sorted(chosen) == known.task_ids.tolist()
    assert abs(np.corrcoef(chosen, np.arange(30))[0, 1]) < 0.5
    other = replace(inputs(30, of=np.zeros(30, int), seed=1))
    assert choose(strategy, other, 30).task_ids.tolist() != chosen


@pytest.mark.parametrize("strategy", BATCH_AWARE)
def test_a_batch_is_not_ten_copies(strategy):
    of = np.repeat(np.arange(12), 10)
    chosen = choose(strategy, inputs(12, dims=30, of=of), 12)
    assert len(set(of[chosen.task_ids - FIRST_ID].tolist())) == 12


@pytest.mark.parametrize("strategy", ALL)
def test_a_thousand_classes(strategy):
    items = 6 if "epig" in strategy else 30
    assert len(set(choose(strategy, inputs(items, classes=1000, passes=2), 4).task_ids.tolist())) == 4


@pytest.mark.parametrize("strategy", ALL)
def test_certain_predictions_and_zeros_in_them(strategy):
    known = inputs()
    p = np.zeros_like(known.probabilities)
    p[..., 1] = 1
    chosen = choose(strategy, replace(known, probabilities=p), 9)
    assert len(set(chosen.task_ids.tolist())) == 9
    assert np.isfinite(chosen.utility).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_says_what_it_is(strategy):
    entry = STRATEGIES[strategy]
    assert (entry.score is None) != (entry.pick is None)
    assert all(len(text) > 3 for text in (entry.when, entry.equation, entry.cost))
    assert entry.source or strategy == "random"
    assert entry.needs <= set(NEEDS)
    assert strategy.isidentifier()  # it becomes a part of a queue's name
    assert strategy != short_name(MIX)
    assert entry.batch_aware == (entry.copies is not None)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_a_strategy_needs_is_all_that_it_reads(strategy):
    known, wanted = inputs(), STRATEGIES[strategy].needs
    nothing = {
        "probabilities": "probabilities" in wanted,
        "embeddings": "embeddings" in wanted,
        "features": "features" in wanted,
        "labelled": "labelled" in wanted,
        "labelled_features": "features" in wanted,
        "validation": "validation" in wanted,
        "wrong": "validation" in wanted,
        "neighbourhood": "neighbourhood" in wanted,
        "doubts": "doubts" in wanted,
    }
    known = replace(known, **{name: None for name, read in nothing.items() if not read})
    assert len(choose(strategy, known, 5).task_ids) == 5


@pytest.mark.parametrize("strategy", ALL)
def test_a_task_is_scored_alone_as_in_the_pool_or_by_the_stand_in(strategy):
    known = inputs()
    alone = [
        uncertainty(strategy, known.probabilities[i : i + 1], known.task_ids[i : i + 1], seed=0)[0] for i in range(40)
    ]
    expected = uncertainty(strategy if itemwise(strategy) else "entropy", known.probabilities, known.task_ids, seed=0)
    np.testing.assert_allclose(alone, expected, atol=1e-6)
    if itemwise(strategy):
        best = choose(strategy, known, 1)
        assert alone[best.task_ids[0] - FIRST_ID] == pytest.approx(max(alone), abs=1e-6)


def test_tasks_that_come_later_are_served_after_a_batch():
    queue = queue_scores(np.array([0.9, 0.4, 0.2]))
    later = after_queue(np.array([0.0, 0.5, 1.0]), queue[-1])
    assert later[0] >= queue[-1]
    assert (np.diff(later) > 0).all()
    assert later[-1] <= 1


def test_the_document_is_that_of_the_registry():
    written = strategies_table.DOCUMENT.read_text(encoding="utf-8")
    assert written == strategies_table.document(), "run python scripts/strategies_table.py"


@pytest.mark.parametrize(
    ("strategy", "missing"),
    [("bald", "samples"), ("badge", "embeddings"), ("atlas", "validation"), ("novelty", "features")],
)
def test_what_is_missing_is_named(strategy, missing):
    everything = frozenset(NEEDS)
    check_needs(strategy, needs(strategy), everything)
    with pytest.raises(AcquisitionError, match=f"Strategy '{strategy}' needs") as error:
        check_needs(strategy, needs(strategy), everything - {missing})
    assert len(str(error.value)) < 150


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("entropie", "Unknown strategy 'entropie'; choose one of: auto"),
        ("", "Unknown strategy ''"),
        ("entropy:0.8,random:0.1", "add up to 0.9; they must add up to 1"),
        ("entropy:0.8,random:0.3", "add up to 1.1"),
        ("entropy:0.5,entropy:0.5", "names entropy more than once"),
        ("entropy:0.5,best:0.5", "Unknown strategy 'best'"),
        ("entropy,random", "'entropy' is no part of one"),
        ("entropy:0.5,", "'' is no part of one"),
        ("entropy:,random:1", "'entropy:' is no part of one"),
        (":1", "':1' is no part of one"),
        ("entropy:half,random:0.5", "the share of entropy must be a number"),
        ("entropy:nan,random:0.5", "the share of entropy must be a number"),
        ("entropy:0,random:1", "the share of entropy must be a number above 0"),
        ("entropy:-0.5,random:1.5", "the share of entropy must be a number"),
        ("entropy:0.5:0.5", "the share of entropy must be a number"),
    ],
)
def test_a_wrong_strategy_is_explained(text, reason):
    with pytest.raises(AcquisitionError) as error:
        parse_strategy(text)
    assert reason in str(error.value)


@pytest.mark.parametrize("bad", [[np.nan, 0.5, 0.5], [0.5, 0.4, 0.0], [-0.1, 0.6, 0.5]])
def test_broken_probabilities_are_named_whatever_the_strategy(bad):
    p = inputs().probabilities.copy()
    p[7, 2] = bad
    with pytest.raises(AcquisitionError, match="Item 7"):
        inputs_of(np.arange(40), 0, probabilities=p)


def test_spaces_and_any_notation_of_shares():
    parts = parse_strategy(" entropy : .8 , random:0.20")
    assert [(part.name, part.share) for part in parts] == [("entropy", 0.8), ("random", 0.2)]
    assert needs("bald:0.5,k_center:0.5") == STRATEGIES["bald"].needs | STRATEGIES["k_center"].needs


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 500))
def test_counts_add_up_and_are_within_one_of_the_shares(weights, count):
    shares = [weight / sum(weights) for weight in weights]
    counts = part_counts(shares, count)
    assert sum(counts) == count
    assert all(abs(got - share * count) < 1 for got, share in zip(counts, shares, strict=True))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_every_head_of_the_queue_is_close_to_the_mixture(counts):
    turns = interleave(counts)
    assert [int((turns == part).sum()) for part in range(len(counts))] == counts
    for place in range(1, len(turns) + 1):
        for part, count in enumerate(counts):
            assert abs((turns[:place] == part).sum() - count * place / len(turns)) < len(counts)


def test_each_part_picks_from_what_the_others_left():
    known = inputs()
    chosen = choose("entropy:0.5,margin:0.5", known, 20)
    by = {
        name: [i for i, part in zip(chosen.task_ids, chosen.picked_by, strict=True) if part == name]
        for name in ("entropy", "margin")
    }
    assert Counter(chosen.picked_by) == {"entropy": 10, "margin": 10}
    assert by["entropy"] == choose("entropy", known, 10).task_ids.tolist()
    rest = np.setdiff1d(np.arange(len(known)), np.array(by["entropy"]) - FIRST_ID)
    assert by["margin"] == choose("margin", known.take(rest), 10).task_ids.tolist()


def test_a_mixture_has_a_name_that_fits_a_queue():
    assert short_name(MIX) == "mix"
    assert short_name("bald") == "bald"
    name = queue_name("mnist_cnn-0001-1a2b3c4d", short_name(MIX), 3)
    assert parse_queue_name(name).strategy == "mix"
