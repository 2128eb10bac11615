"""What comes next: the strategy's picks, with a random control arm among them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from support.texts import IDS, SETTINGS, TEXTS

from ml_backend.config import ProjectSettings
from ml_backend.errors import AcquisitionError
from ml_backend.models.base import LabeledItems
from ml_backend.records import CONTROL
from ml_backend.selection.choose import choose
from ml_backend.selection.context import QueryContext, strategy_in_use, wants
from ml_backend.selection.control_arm import control_order, control_places
from ml_backend.selection.ordering import inputs_of, queue_scores
from ml_backend.selection.scoring import MemoryLimits, score_items
from ml_backend.selection.select import arrange, assess, first_candidates, select
from ml_backend.strategies.mixture import needs, parse_strategy
from ml_backend.strategies.registry import STRATEGIES


def uncertainties(model, task_ids=IDS, settings=SETTINGS):
    """What the model says about tasks, whatever is asked first."""
    told = assess(QueryContext(model, TEXTS, IDS, settings)).uncertainty
    return told[task_ids - IDS[0]]


def test_the_share_of_control_tasks(model):
    chosen = select(QueryContext(model, TEXTS, IDS, SETTINGS), count=50, turn=3)
    assert Counter(chosen.picked_by) == {CONTROL: 10, "entropy": 40}
    assert len(set(chosen.task_ids.tolist())) == 50


def test_without_a_share_the_order_is_the_strategy_alone(model):
    chosen = select(QueryContext(model, TEXTS, IDS, SETTINGS.override({"control_share": 0}, where="test")), count=20)
    assert set(chosen.picked_by) == {"entropy"}
    np.testing.assert_array_equal(chosen.utility, np.sort(uncertainties(model))[::-1][:20])
    np.testing.assert_array_equal(uncertainties(model, chosen.task_ids), chosen.utility)


def test_strategy_picks_keep_their_order_and_control_tasks_their_place(model):
    chosen = select(QueryContext(model, TEXTS, IDS, SETTINGS), count=40, turn=1)
    own = chosen.task_ids[[by != CONTROL for by in chosen.picked_by]]
    assert (np.diff(uncertainties(model, own)) <= 0).all()
    scores = queue_scores(chosen.utility)
    assert (np.diff(scores) > 0).all()
    # A control task of low uncertainty must not pull down what follows it.
    np.testing.assert_allclose(
        scores[[by != CONTROL for by in chosen.picked_by]], 1 - uncertainties(model, own), atol=2e-6
    )


def test_control_tasks_do_not_know_the_model(model):
    with_model = select(QueryContext(model, TEXTS, IDS, SETTINGS), count=30)
    without = select(QueryContext(None, TEXTS, IDS, SETTINGS), count=30)

    def control(chosen):
        return [p for p, by in zip(chosen.task_ids.tolist(), chosen.picked_by, strict=True) if by == CONTROL]

    assert control(with_model) == control(without)
    assert {by for by in without.picked_by if by != CONTROL} == {"random"}


def test_a_pick_tells_why_and_a_control_task_nothing(model):
    """A class may be called {0}: names are put in once."""
    chosen = select(QueryContext(model, TEXTS, IDS, SETTINGS), count=20)
    for task, by in zip(chosen.task_ids.tolist(), chosen.picked_by, strict=True):
        told = chosen.reasons.get(task, "").format("{1}", "no")
        first, second = sorted(model.probabilities([TEXTS[task - IDS[0]]])[0, 0], reverse=True)
        assert told == (
            ""
            if by == CONTROL
            else f"{told[: told.index(' ')]} ({first:.0%}) or {told.split()[3]} ({second:.0%}) by the model"
        )
    typical = SETTINGS.override({"strategy": "typiclust:0.5,random:0.5", "control_share": 0}, where="test")
    chosen = select(
        QueryContext(model, TEXTS, IDS, typical, labelled=LabeledItems(TEXTS[:2], np.array([0, 1]))), count=8
    )
    assert set(chosen.picked_by) == {"typiclust", "random"}
    for task, by in zip(chosen.task_ids.tolist(), chosen.picked_by, strict=True):
        told = chosen.reasons.get(task, "")
        assert told.startswith("typical of a group of " if by == "typiclust" else "")
        assert bool(told) == (by == "typiclust")


def test_a_selection_carries_what_the_model_says_of_its_own_tasks(model):
    chosen = select(QueryContext(model, TEXTS, IDS, SETTINGS), count=20)
    told = model.probabilities([TEXTS[task - IDS[0]] for task in chosen.task_ids])[:, 0]
    assert chosen.winner.tolist() == told.argmax(axis=1).tolist()
    assert len(set(chosen.winner.tolist())) == 2
    np.testing.assert_allclose(chosen.confidence, told.max(axis=1), atol=1e-6)
    without = select(QueryContext(None, TEXTS, IDS, SETTINGS), count=20)
    assert without.winner is None
    assert without.confidence is None
    assert without.reasons == {}


def test_an_unanswered_control_task_is_one_of_the_next_queue_too():
    first = control_order(IDS, 0, 6)
    left = np.setdiff1d(IDS, first[:2])
    np.testing.assert_array_equal(control_order(left, 0, 4), first[2:])


def test_control_order_is_uniform():
    first = [int(control_order(np.arange(start, start + 10), 0, 1)[0]) - start for start in range(0, 20_000, 10)]
    assert chisquare(np.bincount(first, minlength=10)).pvalue > 1e-3


@given(st.integers(1, 300), st.floats(0.01, 0.5), st.integers(0, 2**32 - 1), st.integers(1, 10_000))
def test_places_are_distinct_and_as_many_as_the_share_asks(length, share, seed, number):
    places = control_places(length, share, seed, number)
    assert len(set(places.tolist())) == len(places)
    assert ((places >= 0) & (places < length)).all()
    assert (np.diff(places) > 0).all()
    assert abs(len(places) - share * length) <= 1


def test_every_place_of_a_short_head_is_a_control_place_equally_often():
    counts = Counter(int(p) for number in range(1, 4001) for p in control_places(5, 0.1, 0, number))
    assert chisquare([counts[place] for place in range(5)]).pvalue > 1e-3
    assert sum(counts.values()) / 20_000 == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("strategy", ["entropy", "random"])
@pytest.mark.parametrize("trained", [True, False])
def test_reading_only_the_candidates_chooses_the_same(model, strategy, trained):
    settings = SETTINGS.override({"strategy": strategy}, where="test")
    used = model if trained else None
    candidates = first_candidates(IDS, settings, trained=trained, count=8)
    some = np.flatnonzero(np.isin(IDS, list(candidates)))
    whole = select(QueryContext(used, TEXTS, IDS, settings), count=8, turn=4)
    part = select(QueryContext(used, [TEXTS[i] for i in some], IDS[some], settings), count=8, turn=4)
    assert part.task_ids.tolist() == whole.task_ids.tolist()
    assert part.picked_by == whole.picked_by


@pytest.mark.parametrize("count", [0, 1, 60, 1000])
def test_any_count(model, count):
    chosen = select(QueryContext(model, TEXTS, IDS, SETTINGS), count=count)
    assert len(chosen.task_ids) == len(chosen.picked_by) == len(chosen.utility) == min(count, len(TEXTS))
    assert len(np.unique(chosen.task_ids)) == len(chosen.task_ids)


def test_nothing_open(model):
    chosen = select(QueryContext(model, [], IDS[:0], SETTINGS), count=10)
    assert chosen.task_ids.tolist() == []


# --- every strategy, on a real model -----------------------------------------------------------------------------

LABELLED = LabeledItems(TEXTS[:16], np.array([int(i % 8 < 3) for i in range(16)]))
EVALUATION = LabeledItems(TEXTS[16:30], np.array([int(i % 8 < 3) for i in range(16, 30)]))
MIX = "entropy:0.5,novelty:0.25,random:0.25"


def of(strategy, **changes):
    return ProjectSettings(strategy=strategy, samples=5, **changes)


@pytest.mark.parametrize("strategy", [name for name in [*STRATEGIES, MIX] if "doubts" not in needs(name)])
def test_every_strategy_orders_texts(model, strategy):
    settings = of(strategy)
    chosen = select(QueryContext(model, TEXTS, IDS, settings, labelled=LABELLED, validation=EVALUATION), count=12)
    assert len(set(chosen.task_ids.tolist())) == 12
    assert set(chosen.picked_by) == {CONTROL} | {part.name for part in parse_strategy(strategy)}
    assert (np.diff(queue_scores(chosen.utility)) > 0).all()
    backwards = select(
        QueryContext(model, TEXTS[::-1], IDS[::-1], settings, labelled=LABELLED, validation=EVALUATION), count=12
    )
    assert backwards.task_ids.tolist() == chosen.task_ids.tolist()


@pytest.mark.parametrize("strategy", ["entropy", "bald", "power_bald", "random"])
def test_item_by_item_or_together_the_order_is_the_same(model, strategy):
    """Scores in blocks, nothing kept, against all inputs together."""
    settings = of(strategy, control_share=0)
    samples = settings.samples if "samples" in needs(strategy) else 1
    known = inputs_of(IDS, 0, probabilities=model.probabilities(TEXTS, samples=samples, seed=0))
    direct = select(QueryContext(model, TEXTS, IDS, settings), count=20)
    assert direct.task_ids.tolist() == choose(strategy, known, 20).task_ids.tolist()


@pytest.mark.parametrize("strategy", ["typiclust", "probcover", "k_center", "cluster", "representative", "novelty"])
@pytest.mark.parametrize("kind", ["texts", "images"])
def test_strategies_that_need_no_model_work_before_one(strategy, kind):
    digits = list(np.random.default_rng(0).integers(0, 255, (60, 28, 28), dtype=np.uint8))
    items = TEXTS if kind == "texts" else digits
    settings = of(strategy)
    assert strategy_in_use(settings, trained=False) == strategy
    assert first_candidates(IDS, settings, trained=False, count=5) == set(IDS.tolist())
    nothing = LabeledItems([], np.zeros(0, np.int64))
    chosen = select(QueryContext(None, items, IDS, settings, classes=8, labelled=nothing), count=12)
    assert set(chosen.picked_by) == {CONTROL, strategy}
    assert len(set(chosen.task_ids.tolist())) == 12


@pytest.mark.parametrize("items", [TEXTS[:1] * 4, ["!"] * 4, TEXTS[:1], []])
def test_hardly_anything_before_a_model(items):
    nothing = LabeledItems([], np.zeros(0, np.int64))
    chosen = select(QueryContext(None, items, IDS[: len(items)], of("typiclust"), labelled=nothing), count=12)
    assert sorted(chosen.task_ids.tolist()) == IDS[: len(items)].tolist()


@pytest.mark.parametrize("strategy", ["entropy", "badge", "atlas", MIX])
def test_before_a_model_a_strategy_that_needs_one_is_random(strategy):
    assert strategy_in_use(of(strategy), trained=False) == "random"
    assert set(select(QueryContext(None, TEXTS, IDS, of(strategy)), count=12).picked_by) == {CONTROL, "random"}


def test_what_has_to_be_read_beside_the_open_tasks():
    assert wants(of("entropy"), trained=True) == frozenset()
    assert wants(of("entropy", balance=True), trained=True) == {"labelled"}
    assert wants(of("k_center:0.5,atlas:0.5"), trained=True) == {"labelled", "validation"}
    assert wants(of("k_center:0.5,atlas:0.5"), trained=False) == frozenset()


class Unable:
    """A model that must not be asked for anything."""

    labels = ("no", "yes")
    stochastic = False

    def probabilities(self, items, *, samples=1, seed=0):
        raise AssertionError("computed")


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ("bald", "Monte-Carlo dropout"),
        ("badge", "the model must offer embed"),
        ("entropy:0.5,batch_bald:0.5", "Monte-Carlo dropout"),
        ("atlas", "evaluation tasks"),
        ("k_center", "the labelled items"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_is_computed(strategy, reason):
    with pytest.raises(AcquisitionError, match=reason):
        select(QueryContext(Unable(), TEXTS, IDS, of(strategy)), count=5)


def test_a_balanced_queue_takes_classes_in_turns(model):
    settings = of("entropy", balance=True, control_share=0)
    chosen = select(QueryContext(model, TEXTS, IDS, settings, labelled=LABELLED), count=10)
    assert 0 < chosen.winner.sum() < 10
    plain = select(QueryContext(model, TEXTS, IDS, of("entropy", control_share=0)), count=10)
    assert chosen.task_ids.tolist() != plain.task_ids.tolist()


@pytest.mark.parametrize("strategy", ["badge", "bald:0.5,k_center:0.5", "auto"])
def test_a_pool_too_large_for_memory(model, strategy):
    """Compared as a whole is what the model is least sure of; all others still get a place, later."""
    settings = of(strategy, control_share=0)
    known = LabeledItems(TEXTS[:4], np.array([0, 1, 1, 0]))
    classes = 2 * (5 if "bald" in strategy else 1)
    context = QueryContext(model, TEXTS, IDS, settings, labelled=known)
    whole = score_items(model, TEXTS, IDS, settings, keep=True, limits=MemoryLimits(7))
    assert whole.probabilities.shape[0] == 60
    few = score_items(model, TEXTS, IDS, settings, keep=True, limits=MemoryLimits(7, 20 * classes))
    assert few.probabilities.shape[0] == 20
    chosen = arrange(context, few, count=60)
    assert sorted(chosen.task_ids.tolist()) == IDS.tolist()
    np.testing.assert_array_equal(few.uncertainty, whole.uncertainty)
    if strategy == "badge":
        most_uncertain = set(IDS[np.argsort(-few.uncertainty)[:20]].tolist())
        assert set(chosen.task_ids[:20].tolist()) == most_uncertain
    assert (np.diff(queue_scores(chosen.utility)) > 0).all()
