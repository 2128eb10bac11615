"""Pictures of Pillow's many modes → plain colours: transparency, depth, colour profile, and which side is up."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION: Final = 0x0112
"""EXIF tag: 1 as it is, 2 to 8 turned or mirrored."""
ROWS: Final = 256
"""Rows that are brought to 8 bits together: a whole picture in float64 would take eight times its size."""
PROFILES: Final = 8
"""Colour transforms that a process keeps: the pictures of a project come from few cameras."""


def on_white(image: Image.Image) -> Image.Image:
    """A picture, with white where it is transparent."""
    from PIL import Image

    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits (modes ``I`` and ``F``) as 8 bits ``L``; Pillow's own conversion clips it at 255.

    Whole numbers are taken as parts of 65,535, fractions as parts of the largest, which is at least 1.
    """
    from PIL import Image

    blocks = [(0, top, image.width, min(top + ROWS, image.height)) for top in range(0, image.height, ROWS)]
    largest = 65535.0
    if image.mode.startswith("F"):
        largest = max(1.0, *(float(_values(image, block).max()) for block in blocks))
    out = Image.new("L", image.size)
    for block in blocks:
        scaled = (_values(image, block).clip(0, largest) * (255 / largest)).round()
        out.paste(Image.fromarray(scaled.astype(np.uint8)), block)
    return out


def _values(image: Image.Image, block: tuple[int, int, int, int]) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image.crop(block), dtype=np.float64)).clip(0)


def without_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture in sRGB ``RGB``; one without a colour profile, or with a damaged one, is taken to be in it already."""
    from PIL import ImageCms

    if profile:
        try:
            transform = _to_srgb(profile, image.mode)
            return ImageCms.applyTransform(image, transform) or image.convert("RGB")
        except ImageCms.PyCMSError:
            pass  # browsers show such a picture too, by its plain numbers
    return image.convert("RGB")


@lru_cache(PROFILES)
def _to_srgb(profile: bytes, mode: str) -> Any:
    from PIL import ImageCms

    return ImageCms.buildTransform(io.BytesIO(profile), ImageCms.createProfile("sRGB"), mode, "RGB")


def turned(image: Image.Image, original: Image.Image) -> Image.Image:
    """A picture made from another, turned as the other's EXIF says."""
    from PIL.Image import Transpose

    ways = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    way = ways.get(_orientation(original))
    return image if way is None else image.transpose(way)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged metadata, of which Pillow raises many kinds: the picture itself is whole
        return 1
