"""What class probabilities must be before anything is computed from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError

ROW_SUM_TOLERANCE = 1e-3
"""float32 rows sum to 0.999999; a row further off is a model's mistake and is never repaired by guessing."""


def check_probabilities(probabilities: NDArray[np.floating], *, several: bool = False) -> NDArray[np.floating]:
    """Return ``probabilities [N, K, C]`` as float32 or float64, or say which row is wrong.

    ``several``: of sets, each by itself between 0 and 1.

    Raises:
        AcquisitionError: wrong number of axes, no pass, fewer than two classes, a value that is NaN, infinite or
            negative, or a row that does not sum to 1 within 1e-3, or of sets a value above 1. The message names the
            row.
    """
    values = np.asarray(probabilities)
    if values.dtype != np.float32:
        values = values.astype(np.float64, copy=False)
    if values.ndim != 3 or values.shape[1] < 1 or values.shape[2] < 2:
        raise AcquisitionError(
            f"Probabilities must have shape [items, samples >= 1, classes >= 2]; got {values.shape}."
        )
    if several:
        return _checked_sets(values)
    # A product with ones passes NaN and inf on.
    with np.errstate(invalid="ignore"):
        sums = values.reshape(-1, values.shape[2]) @ np.ones(values.shape[2], values.dtype)
        fits = np.abs(sums - 1.0) <= ROW_SUM_TOLERANCE  # False for NaN
        if fits.all() and (not values.size or values.min() >= 0):
            return values
        wrong = (~fits.reshape(values.shape[:2]) | (values < 0).any(axis=2)).any(axis=1)
    row = int(np.flatnonzero(wrong)[0])
    raise AcquisitionError(
        f"Item {row} has probabilities {values[row].tolist()}: each pass must be finite, not negative and sum "
        f"to 1. {int(wrong.sum())} of {len(values)} items are affected; the model's output is broken."
    )


def _checked_sets(values: NDArray[np.floating]) -> NDArray[np.floating]:
    fits = ((values >= 0) & (values <= 1)).all(axis=(1, 2))  # False for NaN
    if fits.all():
        return values
    row = int(np.argmin(fits))
    raise AcquisitionError(
        f"Item {row} has probabilities {values[row].tolist()}: each must lie between 0 and 1. "
        f"{int((~fits).sum())} of {len(values)} items are affected; the model's output is broken."
    )
