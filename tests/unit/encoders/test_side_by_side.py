"""Vectors of several encoders as one."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.encoders.side_by_side import PICTURES_SIDE_BY_SIDE, SIDE_BY_SIDE, joined, unit_rows

RNG = np.random.default_rng(0)


def unit(rows: int, dims: int) -> np.ndarray:
    found = RNG.normal(size=(rows, dims))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def test_cosines_are_the_parts_mean_by_their_shares() -> None:
    one, other = unit(5, 8), unit(5, 20)
    both = joined([one, other], [0.75, 0.25])
    assert (both.shape, both.dtype) == ((5, 28), np.float32)
    np.testing.assert_allclose(both @ both.T, 0.75 * one @ one.T + 0.25 * other @ other.T, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-3)


def test_it_does_not_show_which_parts_were_kept_in_16_bits() -> None:
    one, other = unit(5, 8), unit(5, 20)
    kept = one.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(joined([kept, other], [0.75, 0.25]), joined([one, other], [0.75, 0.25]))
    both = joined([one, other], [0.75, 0.25])
    np.testing.assert_array_equal(both, both.astype(np.float16), "a pool keeps it so")


def test_a_text_that_no_part_knows_has_no_vector() -> None:
    assert not joined([np.zeros((1, 8), np.float32), np.zeros((1, 20), np.float32)], [0.5, 0.5]).any()


def test_rows_are_made_of_length_1_but_for_those_of_zeros() -> None:
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])


@pytest.mark.parametrize("shares", [*SIDE_BY_SIDE.values(), *PICTURES_SIDE_BY_SIDE.values()])
def test_shares_are_of_the_whole(shares: dict[str, float]) -> None:
    assert sum(shares.values()) == pytest.approx(1)
