"""Picks of strategies that can be checked by hand."""

import numpy as np
import pytest
from support.pools import inputs

from ml_backend.draws import draws_for
from ml_backend.errors import AcquisitionError
from ml_backend.selection.choose import choose
from ml_backend.selection.ordering import inputs_of
from ml_backend.strategies import batch_bald, clusters, geometry, novelty, transfer
from ml_backend.strategies.acquisition import bald
from ml_backend.strategies.registry import STRATEGIES, get_strategy


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
    assert set(picks.reasons.values()) == {"typical of a group of 5 similar tasks, which has no label yet"}
    more = clusters.typiclust(x, np.array([[0.2, 0.1]]), 3, np.random.default_rng(0))
    assert len(more.reasons) == 3
    alone = clusters.typiclust(np.array([[0.0, 0], [50, 0]]), np.empty((0, 2)), 2, np.random.default_rng(0))
    assert set(alone.reasons.values()) == {"a group of its own, which has no label yet"}


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
    assert told[:2] == ["the centre of a group of 6 similar tasks", "the outlier of a group of 6 similar tasks"]
    assert set(told[2:]) == {"drawn from the middle of a group of 6 similar tasks"}


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
        choose("power_bald", inputs_of(np.array([1, 2]), seed, probabilities=p), 1).task_ids[0] for seed in range(2000)
    ]
    assert np.mean(np.array(first) == 1) == pytest.approx(share, abs=0.04)


def test_random_is_the_keyed_draw():
    known = inputs()
    drawn = np.argsort(-draws_for(known.task_ids, 0))
    assert choose("random", known, 40).task_ids.tolist() == known.task_ids[drawn].tolist()


def test_a_rare_class_gets_its_turn():
    rng = np.random.default_rng(0)
    p = np.full((200, 1, 2), [0.55, 0.45]) + rng.uniform(-0.04, 0.04, (200, 1, 1)) * [1, -1]
    p[:20] = [0.2, 0.8]  # a class of 1 in 10, of which the model is surer
    known = inputs_of(np.arange(200), 0, probabilities=p)
    assert (choose("entropy", known, 20).task_ids < 20).sum() == 0
    chosen = choose("entropy", known, 40, labels_so_far={0: 10, 1: 0})
    assert (chosen.task_ids[:10] < 20).all()
    assert (chosen.task_ids < 20).sum() == 20
    assert (np.diff(chosen.utility) <= 0).all()
    plain = choose("random", known, 40, labels_so_far={0: 10, 1: 0})
    assert plain.task_ids.tolist() == choose("random", known, 40).task_ids.tolist()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AcquisitionError) as error:
        get_strategy("entropie")
    assert all(name in str(error.value) for name in ("'entropie'", *STRATEGIES))
