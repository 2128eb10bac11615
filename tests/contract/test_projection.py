"""The map: smooth from round to round, true to the embedding, the same on every run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness

from ml_backend.config import ProjectSettings
from ml_backend.rounds.map import draw
from ml_backend.rounds.projection import FEWEST, NOTHING, _aligned, _load_umap, components, lay_out, place_new
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.workspace import Run
from ml_backend.store.pool_map import EVALUATION, LABELLED, OPEN, QUEUED, Layout, choose_shown

RNG = np.random.default_rng(0)
IDS = np.arange(1000, 1240, dtype=np.int64)
GROUPS = np.arange(240) % 6
CENTRES = 6.0 * np.eye(6, 12)
POOL = (CENTRES[GROUPS] + RNG.normal(size=(240, 12))).astype(np.float32)


def embedding_of_another_model(seed: int) -> np.ndarray:
    """The same groups in another space, as after another training: turned, mirrored, noisy."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    return ((POOL + rng.normal(size=POOL.shape) / 2) @ turn * 3.0).astype(np.float32)


@pytest.fixture(scope="module")
def first() -> Layout:
    return lay_out(POOL, IDS, seed=0)


def spread(places: np.ndarray) -> float:
    return float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1).mean()))


def moved(before: Layout, after: Layout) -> float:
    """Median way of the points, in units of the map's spread."""
    return float(np.median(np.linalg.norm(after.places - before.places, axis=1))) / spread(before.places)


def test_groups_stay_together(first: Layout) -> None:
    gaps = np.linalg.norm(first.places[:, None] - first.places[None], axis=2) + 1e9 * np.eye(240)
    assert (GROUPS[gaps.argmin(axis=1)] == GROUPS).mean() > 0.95
    assert trustworthiness(POOL, first.places, n_neighbors=15) > 0.85


def test_what_is_compiled_is_kept_for_other_processes(first: Layout) -> None:
    umap, _ = _load_umap()
    for compiled in (umap.smooth_knn_dist, umap.compute_membership_strengths):
        used = compiled.stats
        assert sum(used.cache_hits.values()) + sum(used.cache_misses.values()) > 0
        assert any(Path(used.cache_path).glob(f"*{compiled.py_func.__name__}*.nbc"))


def test_the_next_model_moves_points_little_and_truly(first: Layout) -> None:
    now = first
    for seed in range(3):
        embedding = embedding_of_another_model(seed)
        later = lay_out(embedding, IDS, now, seed=0)
        fresh = lay_out(embedding, IDS, seed=0)
        assert moved(now, later) < 0.15
        assert moved(now, later) < moved(now, fresh) / 2
        ours, theirs = (trustworthiness(embedding, each.places, n_neighbors=15) for each in (later, fresh))
        assert ours > theirs - 0.03
        now = later


def test_the_same_again(first: Layout) -> None:
    again = lay_out(POOL, IDS, seed=0)
    np.testing.assert_array_equal(again.places, first.places)


def test_the_order_of_the_items_is_no_matter_to_who_is_who(first: Layout) -> None:
    order = RNG.permutation(240)
    later = lay_out(POOL[order], IDS[order], first, seed=0)
    back = np.argsort(order)
    np.testing.assert_array_equal(later.task_ids[back], IDS)
    assert moved(first, Layout(IDS, later.places[back])) < 0.15


def test_new_tasks_start_at_their_neighbours_and_others_stay(first: Layout) -> None:
    old = Layout(first.task_ids[:200], first.places[:200])
    later = place_new(POOL, IDS, old)
    np.testing.assert_array_equal(later.places[:200], first.places[:200])
    for new in range(200, 240):
        same = np.flatnonzero(GROUPS[:200] == GROUPS[new])
        nearest = np.linalg.norm(later.places[:200] - later.places[new], axis=1).argmin()
        assert nearest in same
    with pytest.raises(ValueError, match="none of the items"):
        place_new(POOL[:3], IDS[:3] + 9999, old)


def test_another_pool_starts_anew(first: Layout) -> None:
    elsewhere = lay_out(POOL, IDS + 50_000, first, seed=0)
    np.testing.assert_array_equal(elsewhere.places, first.places)


@pytest.mark.parametrize("count", [0, 1, 2, 3, FEWEST - 1])
def test_few_tasks_are_shown_by_principal_components(count: int) -> None:
    found = lay_out(POOL[:count], IDS[:count], seed=0)
    assert found.places.shape == (count, 2)
    assert np.isfinite(found.places).all()
    np.testing.assert_allclose(found.places, components(POOL[:count]))


def test_items_that_are_all_alike_do_no_harm() -> None:
    same = lay_out(np.ones((150, 4), np.float32), IDS[:150], seed=0)
    assert np.isfinite(same.places).all()
    again = lay_out(np.ones((150, 1), np.float32), IDS[:150], same, seed=0)
    assert np.isfinite(again.places).all()


def test_bad_embeddings_are_refused() -> None:
    with pytest.raises(ValueError, match="3 task ids but embeddings of shape"):
        lay_out(POOL[:2], IDS[:3], seed=0)
    bad = POOL[:5].copy()
    bad[2, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        lay_out(bad, IDS[:5], NOTHING, seed=0)


@given(
    angle=st.floats(-np.pi, np.pi),
    size=st.floats(0.1, 10),
    shift=st.floats(-100, 100),
    mirrored=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_alignment_takes_back_any_similarity(angle: float, size: float, shift: float, mirrored: bool) -> None:
    places = RNG.normal(size=(30, 2)).astype(np.float32)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        turn = turn @ np.diag([1.0, -1.0])
    found = _aligned((places @ turn * size + shift).astype(np.float32), np.arange(30), places)
    np.testing.assert_allclose(found, places, atol=1e-3)


def test_alignment_looks_at_shared_items_only() -> None:
    places = RNG.normal(size=(30, 2)).astype(np.float32)
    moved = places.copy() + 5
    moved[20:] = 1000
    np.testing.assert_allclose(_aligned(moved, np.arange(20), places[:20])[:20], places[:20], atol=1e-4)


sizes = st.integers(0, 300)


@given(queued=sizes, labelled=sizes, evaluation=sizes, opened=sizes, most=st.integers(4, 400))
@settings(max_examples=60, deadline=None)
def test_what_is_shown_of_a_large_pool(queued: int, labelled: int, evaluation: int, opened: int, most: int) -> None:
    ids = iter(range(10_000))
    groups = {
        state: [next(ids) for _ in range(count)]
        for state, count in ((QUEUED, queued), (LABELLED, labelled), (EVALUATION, evaluation), (OPEN, opened))
    }
    shown = choose_shown(groups, most=most, seed=0)
    assert sum(map(len, shown.values())) == min(most, queued + labelled + evaluation + opened)
    for state, all_ids in groups.items():
        assert set(shown[state]) <= set(all_ids)
        assert len(shown[state]) >= min(len(all_ids), most // 4), "no group is crowded out"
    assert shown[QUEUED] == groups[QUEUED][: len(shown[QUEUED])], "the head of the queue"
    if queued + labelled + evaluation <= most // 4:
        assert (shown[QUEUED], len(shown[LABELLED]), len(shown[EVALUATION])) == (groups[QUEUED], labelled, evaluation)


def test_the_same_tasks_are_shown_from_round_to_round() -> None:
    before = choose_shown({OPEN: range(1000), LABELLED: range(5000, 5020)}, most=200, seed=0)
    after = choose_shown({OPEN: range(10, 1000), LABELLED: range(5000, 5030)}, most=200, seed=0)
    assert len(set(before[OPEN]) & set(after[OPEN])) > 0.9 * len(before[OPEN])


def test_a_pool_of_50000_is_cut_to_what_a_browser_moves() -> None:
    groups = {QUEUED: range(200), LABELLED: range(1000, 1500), EVALUATION: range(2000, 4000), OPEN: range(4000, 54_000)}
    shown = choose_shown(groups, seed=0)
    assert {state: len(ids) for state, ids in shown.items()} == {
        QUEUED: 200,
        LABELLED: 500,
        EVALUATION: 2000,
        OPEN: 7300,
    }


def drawn_with(settings: ProjectSettings, missing: str = "") -> tuple[list[str], list[int]]:
    """Warnings of a round whose map fails, and how often it was tried."""
    tried: list[int] = []

    def broken(*_: object) -> None:
        tried.append(1)
        raise RuntimeError("something that may quote a task")

    project = SimpleNamespace(settings=settings, store=None, now=SimpleNamespace(id=1))
    run = Run.begin(SimpleNamespace(library=SimpleNamespace(load=broken)), RoundRequest(1))
    run.report.version = "digits-0001-1a2b3c4d"
    draw(project, run, installed=lambda module: module != missing)
    return run.report.warnings, tried


def test_a_map_that_fails_is_a_warning() -> None:
    assert drawn_with(ProjectSettings()) == (["The map is not up to date: RuntimeError"], [1])


def test_maps_can_be_switched_off() -> None:
    assert drawn_with(ProjectSettings(map=False)) == ([], [])


@pytest.mark.parametrize("missing", ["dash", "umap"])
def test_without_the_dashboard_no_map_is_tried(missing: str) -> None:
    assert drawn_with(ProjectSettings(), missing) == ([], [])
