"""Reads image files for tasks: idx sets, and files embedded as data URIs.

Axes: ``N`` items; images are ``[N, H, W]`` uint8, 0 is background.
"""

from __future__ import annotations

import base64
import gzip
import io
import math
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml_backend.encoders.pictures import header, thumbnail
from ml_backend.errors import BadItemError, DataError
from ml_backend.files import read_bytes

IDX_UINT8: Final = 0x08

IMAGE_SUFFIXES: Final = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")

MAX_EMBEDDED_BYTES: Final = 1_000_000
"""Larger images make task lists slow, and are better served by URL."""


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
            f"{path} is not an idx1 or idx3 file of unsigned bytes (it starts with {raw[:4].hex() or 'nothing'})"
        )
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise DataError(f"{path} ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(raw, dtype=">u4", count=raw[3], offset=4))
    if len(raw) - start != math.prod(shape):
        raise DataError(f"{path} holds {len(raw) - start:,} values, but its header promises {math.prod(shape):,}")
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape).copy()


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """The gzipped idx file of an array; equal arrays give equal bytes."""
    header = bytes((0, 0, IDX_UINT8, values.ndim)) + np.array(values.shape, dtype=">u4").tobytes()
    return gzip.compress(header + values.tobytes(), compresslevel=6, mtime=0)


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


def embedded_image(path: Path, *, most_bytes: int = MAX_EMBEDDED_BYTES) -> str:
    """The data URI of an unchanged image file of at most ``most_bytes``.

    Raises:
        BadItemError: it is not an image, is damaged, or is too large to embed.
        DataError: it cannot be read at all.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise BadItemError(f"{path}: not an image file that browsers show ({', '.join(IMAGE_SUFFIXES)})")
    if (size := path.stat().st_size) > most_bytes:
        raise BadItemError(f"{path}: {size:,} bytes are too many to embed (at most {most_bytes:,}); use URLs")
    raw = read_bytes(path)
    try:
        thumbnail(raw)  # decodes all of it, so that damage is found here and not by annotators
        mime = Image.MIME[header(raw).format]
    except BadItemError as exc:
        raise BadItemError(f"{path}: {exc}") from exc
    return f"data:{mime};base64,{base64.b64encode(raw).decode('ascii')}"
