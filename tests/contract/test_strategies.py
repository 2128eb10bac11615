"""The contract that every registered strategy and mixture keeps, and picks that can be checked by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import strategies_table
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ml_backend.draws import draws_for
from ml_backend.errors import AcquisitionError
from ml_backend.label_studio.queue_names import parse_queue_name, queue_name
from ml_backend.selection.choose import choose
from ml_backend.selection.ordering import after_queue, inputs_of, queue_scores, uncertainty
from ml_backend.semi_supervised.graph import Neighbourhood, affinity, coordinates, nearest
from ml_backend.strategies import batch_bald, clusters, geometry, novelty, transfer
from ml_backend.strategies.acquisition import bald
from ml_backend.strategies.inputs import NEEDS, check_needs
from ml_backend.strategies.mixture import interleave, itemwise, needs, parse_strategy, part_counts, short_name
from ml_backend.strategies.registry import STRATEGIES, get_strategy

MIX = "entropy:0.5,k_center:0.3,random:0.2"
ALL = [*STRATEGIES, MIX]
BATCH_AWARE = [name for name, entry in STRATEGIES.items() if entry.batch_aware]


def inputs(items=40, classes=3, seed=0, passes=4, dims=5, of=None):
    """A pool of random blobs; ``of`` makes each item a copy of that one of ``items``."""
    rng = np.random.default_rng(17)
    rows = np.arange(items) if of is None else np.asarray(of)
    centres = rng.normal(size=(classes, dims)) * 2
    kinds = rng.integers(classes, size=items)
    x = (centres[kinds] + rng.normal(size=(items, dims)))[rows]
    p = rng.dirichlet(np.ones(classes), (items, passes))[rows].astype(np.float32)
    done = centres[[0, 1]] + rng.normal(size=(2, dims))
    features, labelled_features = novelty.unit_features(x, done) if len(x) else (sparse.csr_matrix((0, 25)),) * 2
    points, nodes = np.unique(np.concatenate([x, done]).astype(np.float32), axis=0, return_inverse=True)
    nodes, weights = nodes.reshape(-1), affinity(nearest([points], points, 9))
    graph = Neighbourhood(
        weights,
        coordinates(weights),
        nodes[:-2],
        nodes[-2:],
        np.arange(2),
        np.full(classes, 1 / classes),
        p.mean(axis=1),
    )
    return inputs_of(
        np.arange(len(rows)) + 1000,
        seed,
        neighbourhood=graph,
        probabilities=p,
        embeddings=x.astype(np.float32),
        features=features,
        labelled=done.astype(np.float32),
        labelled_features=labelled_features,
        validation=rng.normal(size=(30, dims)),
        wrong=np.arange(30) % 4 == 0,
    )


def ids(chosen, known):
    return known.task_ids[chosen.order].tolist()


# --- the contract ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("count", [1, 7, 40, 100])
def test_picks_are_distinct_and_as_many_as_can_be(strategy, count):
    known = inputs()
    chosen = choose(strategy, known, count)
    assert len(chosen.order) == len(chosen.picked_by) == len(chosen.utility) == min(count, len(known))
    assert len(set(chosen.order.tolist())) == len(chosen.order)
    assert chosen.order.dtype == np.int64
    values = chosen.utility
    assert np.isfinite(values).all()
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values) <= 0).all()
    assert (np.diff(queue_scores(values)) > 0).all()
    assert set(chosen.reasons) <= set(chosen.order.tolist())
    told = [reason.format(*(f"{{class {i}}}" for i in range(known.classes))) for reason in chosen.reasons.values()]
    assert all(text and not text.endswith(".") for text in told)


@pytest.mark.parametrize("strategy", ALL)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_the_order_of_the_items_does_not_matter(strategy, data):
    known = inputs(24, seed=data.draw(st.integers(0, 5)))
    order = np.array(data.draw(st.permutations(range(24))))
    assert ids(choose(strategy, known, 9), known) == ids(choose(strategy, known.take(order), 9), known.take(order))


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
    assert len(choose(strategy, inputs(items), 5).order) == items
    assert len(choose(strategy, inputs(items), 0).order) == 0


@pytest.mark.parametrize("strategy", ALL)
def test_no_labels_yet(strategy):
    known = inputs()
    known = replace(known, labelled=known.labelled[:0], labelled_features=known.labelled_features[:0])
    assert len(set(choose(strategy, known, 9).order.tolist())) == 9


@pytest.mark.parametrize("strategy", ALL)
def test_items_that_are_all_alike_come_in_an_order_drawn_from_the_seed(strategy):
    known = inputs(30, of=np.zeros(30, int))
    chosen = ids(choose(strategy, known, 30), known)
    assert sorted(chosen) == known.task_ids.tolist()
    assert abs(np.corrcoef(chosen, np.arange(30))[0, 1]) < 0.5
    other = replace(inputs(30, of=np.zeros(30, int), seed=1))
    assert ids(choose(strategy, other, 30), other) != chosen


@pytest.mark.parametrize("strategy", BATCH_AWARE)
def test_a_batch_is_not_ten_copies(strategy):
    of = np.repeat(np.arange(12), 10)
    chosen = choose(strategy, inputs(12, dims=30, of=of), 12)
    assert len(set(of[chosen.order].tolist())) == 12


@pytest.mark.parametrize("strategy", ALL)
def test_a_thousand_classes(strategy):
    items = 6 if "epig" in strategy else 30
    assert len(set(choose(strategy, inputs(items, classes=1000, passes=2), 4).order.tolist())) == 4


@pytest.mark.parametrize("strategy", ALL)
def test_certain_predictions_and_zeros_in_them(strategy):
    known = inputs()
    p = np.zeros_like(known.probabilities)
    p[..., 1] = 1
    chosen = choose(strategy, replace(known, probabilities=p), 9)
    assert len(set(chosen.order.tolist())) == 9
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
    }
    known = replace(known, **{name: None for name, read in nothing.items() if not read})
    assert len(choose(strategy, known, 5).order) == 5


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
        assert alone[best.order[0]] == pytest.approx(max(alone), abs=1e-6)


def test_tasks_that_come_later_are_served_after_a_batch():
    queue = queue_scores(np.array([0.9, 0.4, 0.2]))
    later = after_queue(np.array([0.0, 0.5, 1.0]), queue[-1])
    assert later[0] >= queue[-1]
    assert (np.diff(later) > 0).all()
    assert later[-1] <= 1


def test_the_document_is_that_of_the_registry():
    written = strategies_table.DOCUMENT.read_text(encoding="utf-8")
    assert written == strategies_table.document(), "run python scripts/strategies_table.py"


# --- what is wrong is named --------------------------------------------------------------------------------------


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


# --- mixtures ----------------------------------------------------------------------------------------------------


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
        name: [i for i, part in zip(chosen.order, chosen.picked_by, strict=True) if part == name]
        for name in ("entropy", "margin")
    }
    assert Counter(chosen.picked_by) == {"entropy": 10, "margin": 10}
    assert by["entropy"] == choose("entropy", known, 10).order.tolist()
    rest = np.setdiff1d(np.arange(len(known)), by["entropy"])
    assert by["margin"] == rest[choose("margin", known.take(rest), 10).order].tolist()


def test_a_mixture_has_a_name_that_fits_a_queue():
    assert short_name(MIX) == "mix"
    assert short_name("bald") == "bald"
    name = queue_name("mnist_cnn-0001-1a2b3c4d", short_name(MIX), 3)
    assert parse_queue_name(name).strategy == "mix"


# --- by hand -----------------------------------------------------------------------------------------------------


def line(*places):
    return np.array(places, dtype=np.float64)[:, None]


def uniforms(row, size):
    return np.random.default_rng([3, row]).random(size)


def test_k_center_takes_the_farthest():
    picks = geometry.k_center(line(0, 1, 2, 10, 11), line(0.4), 3)
    assert picks.order.tolist() == [4, 2, 3]  # 10.6 from the label, then 1.6 from it, then 1 from the first pick
    assert picks.utility == pytest.approx([1, 1.6 / 10.6, 1 / 10.6])


def test_representative_is_typical_of_the_pool_and_not_of_the_labels():
    x = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [0.0, 1.0]])
    scores = geometry.representative(x, np.array([[0.0, 1.0]]))
    assert scores[:2].min() > scores[2:].max()
    assert geometry.adaptive_representative(x, x[2:3], 2).order[0] == int(np.argmax(geometry.representative(x, x[2:3])))


def test_adaptive_representative_is_representative_computed_anew():
    known = inputs()
    x, done = known.embeddings.astype(np.float64), known.labelled.astype(np.float64)
    picks = geometry.adaptive_representative(x, done, 6).order.tolist()
    for i, pick in enumerate(picks):
        rest = np.setdiff1d(np.arange(len(x)), picks[:i])
        scores = geometry.representative(x[rest], np.concatenate([done, x[picks[:i]]]))
        assert rest[np.argmax(scores)] == pick


def test_typiclust_takes_the_middle_of_each_unlabelled_cluster():
    blobs = [(centre + np.array([[-1.0, 0], [1, 0], [0, -1], [0, 1], [0, 0]])) for centre in ([0, 0], [50, 0], [0, 50])]
    x = np.concatenate(blobs)
    picks = clusters.typiclust(x, np.array([[0.2, 0.1]]), 2, np.random.default_rng(0))
    assert sorted(picks.order.tolist()) == [9, 14]
    assert set(picks.reasons.values()) == {"typical of a cluster of 5 tasks, which has no label yet"}
    more = clusters.typiclust(x, np.array([[0.2, 0.1]]), 3, np.random.default_rng(0))
    assert len(more.reasons) == 3


def test_probcover_covers_the_densest_first():
    angles = np.radians([0, 1, 2, 3, 90, 91, 92, 180, 181])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    picks = geometry.probcover(x, x[:0], 3, classes=3, rng=np.random.default_rng(0))
    assert [int(i) // 4 if i < 8 else 1 for i in picks.order][:1] == [0]
    assert {("a" if i < 4 else "b" if i < 7 else "c") for i in picks.order.tolist()} == {"a", "b", "c"}
    assert picks.utility == pytest.approx([4 / 9, 3 / 9, 2 / 9])
    assert picks.reasons[int(picks.order[0])] == "4 tasks lie close by, far from all labelled or asked before"


def test_cluster_asks_for_the_centroid_then_the_outlier():
    x = line(0, 0.1, -0.1, 0.2, -0.3, 1.5)
    picks = clusters.cluster(x, 5, np.random.default_rng(0))
    middle = int(np.argmin(abs(x - x.mean())))
    assert picks.order[:2].tolist() == [middle, 5]
    told = [picks.reasons[i] for i in picks.order.tolist()]
    assert told[:2] == ["the centre of a cluster of 6 tasks", "the outlier of a cluster of 6 tasks"]
    assert set(told[2:]) == {"drawn from the middle of a cluster of 6 tasks"}


def test_k_means_finds_the_blobs():
    rng = np.random.default_rng(0)
    kinds = rng.integers(4, size=300)
    x = np.array([[0, 0], [20, 0], [0, 20], [20, 20]])[kinds] + rng.normal(size=(300, 2))
    found = clusters.k_means(x, 4, np.random.default_rng(1)).labels
    assert len({(int(a), int(b)) for a, b in zip(kinds, found, strict=True)}) == 4


def test_novelty_counts_picks_as_seen():
    texts = ["flood fire", "flood fire storm", "goal match", "flood", "fire"]
    picks = novelty.novelty(novelty.word_features(texts), novelty.word_features(["flood rain"]), 5)
    assert picks.order[0] in (2, 4)
    assert picks.utility[:2].tolist() == [1.0, 1.0]  # fire, and goal match
    assert sorted(picks.order[:2].tolist()) == [2, 4]
    assert picks.order[2] == 1  # storm is all that is left
    assert picks.utility[2] == pytest.approx(1 / 3)


def test_words_are_seen_in_scripts_without_spaces():
    assert novelty.word_features(["大雨 rain"]).nnz == 3


def test_model_outlier_ranks_activations():
    validation = np.array([[1.0, 10], [2, 20], [3, 30], [4, 40]])
    scores = transfer.model_outlier(np.array([[0.0, 0], [5, 50], [2.5, 25], [2, 25]]), validation)
    assert scores == pytest.approx([1, 0, 0.5, 1 - (1.5 + 2) / 8])


def test_active_transfer_finds_where_the_model_fails():
    rng = np.random.default_rng(0)
    validation = rng.normal(size=(200, 3))
    wrong = validation[:, 1] > 1
    x = rng.normal(size=(50, 3))
    scores = transfer.active_transfer(x, validation, wrong)
    assert np.corrcoef(scores, x[:, 1])[0, 1] > 0.6
    assert transfer.active_transfer(x, validation, np.zeros(200, bool)) == pytest.approx(1 / 202)
    one_fit = transfer.atlas(x, validation, wrong, 10).order
    np.testing.assert_array_equal(one_fit, np.argsort(-scores, kind="stable")[:10])


def test_atlas_leaves_what_its_picks_have_settled():
    rng = np.random.default_rng(0)
    validation = np.concatenate([rng.normal([0, 0], 0.3, (60, 2)), rng.normal([4, 0], 0.3, (20, 2))])
    validation = np.concatenate([validation, rng.normal([0, 4], 0.3, (12, 2))])
    wrong = np.arange(92) >= 60
    x = np.concatenate([rng.normal([5, 0], 0.1, (60, 2)), rng.normal([0, 4], 0.1, (60, 2))])
    greedy = np.argsort(-transfer.active_transfer(x, validation, wrong))[:60]
    spread = transfer.atlas(x, validation, wrong, 60).order
    assert (spread >= 60).sum() > (greedy >= 60).sum()


def test_the_first_of_batch_bald_is_bald_and_gains_fall():
    p = np.random.default_rng(0).dirichlet(np.ones(3), (30, 5))
    picks = batch_bald.batch_bald(p, 30, uniforms)
    assert picks.order[0] == np.argmax(bald(p))
    assert sorted(picks.order.tolist()) == list(range(30))
    assert picks.utility.sum() * np.log(3) <= np.log(5) + 0.05  # five passes: ln 5 nats in all


def test_two_passes_are_told_apart_by_one_label():
    opposed, other = [[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.4, 0.6]]
    picks = batch_bald.batch_bald(np.array([other, opposed, opposed]), 3, uniforms)
    assert picks.order[0] == 1
    assert picks.utility == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("count", [2, 4])
def test_sampled_joint_entropies_are_close_to_exact_ones(count):
    p = np.random.default_rng(1).dirichlet(np.full(4, 0.3), (25, 10))
    exact = batch_bald.batch_bald(p, count, uniforms, configurations=4**count)
    sampled = batch_bald.batch_bald(p, count, uniforms, configurations=3000 if count > 2 else 15)
    tolerance = 0.02 if count > 2 else 0.2
    np.testing.assert_allclose(sampled.utility, exact.utility, atol=tolerance)


def test_laziness_changes_no_pick():
    p = np.random.default_rng(2).dirichlet(np.full(3, 0.5), (60, 6))
    picks = batch_bald.batch_bald(p, 5, uniforms)
    conditional = -(p * np.log(p)).sum(axis=2).mean(axis=1)

    def joint_entropy(rows):
        table = np.ones((1, 6))
        for row in rows:
            table = (table[:, None] * p[row].T[None]).reshape(-1, 6)
        mean = table.mean(axis=1)
        return -(mean * np.log(mean)).sum()

    rows = []
    for pick in picks.order.tolist():
        gains = [-np.inf if i in rows else joint_entropy([*rows, i]) - conditional[i] for i in range(60)]
        assert int(np.argmax(gains)) == pick
        rows.append(pick)


def test_power_bald_draws_in_proportion_to_bald():
    p = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.1, 0.9]]])
    share = bald(p)[0] / bald(p).sum()
    first = [
        choose("power_bald", inputs_of(np.array([1, 2]), seed, probabilities=p), 1).order[0] for seed in range(2000)
    ]
    assert np.mean(np.array(first) == 0) == pytest.approx(share, abs=0.04)


def test_random_is_the_keyed_draw():
    known = inputs()
    assert choose("random", known, 40).order.tolist() == np.argsort(-draws_for(known.task_ids, 0)).tolist()


# --- balance -----------------------------------------------------------------------------------------------------


def test_a_rare_class_gets_its_turn():
    rng = np.random.default_rng(0)
    p = np.full((200, 1, 2), [0.55, 0.45]) + rng.uniform(-0.04, 0.04, (200, 1, 1)) * [1, -1]
    p[:20] = [0.2, 0.8]  # a class of 1 in 10, of which the model is surer
    known = inputs_of(np.arange(200), 0, probabilities=p)
    assert (choose("entropy", known, 20).order < 20).sum() == 0
    chosen = choose("entropy", known, 40, labels_so_far={0: 10, 1: 0})
    assert (chosen.order[:10] < 20).all()
    assert (chosen.order < 20).sum() == 20
    assert (np.diff(chosen.utility) <= 0).all()
    plain = choose("random", known, 40, labels_so_far={0: 10, 1: 0})
    assert plain.order.tolist() == choose("random", known, 40).order.tolist()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AcquisitionError) as error:
        get_strategy("entropie")
    assert all(name in str(error.value) for name in ("'entropie'", *STRATEGIES))
