"""Pictures from outside → arrays of one size: the one place where the product decodes a file that a user names.

Axes: ``[H, W, 3]`` red, green and blue, or ``[H, W]`` grey, both ``uint8``.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders.picture_colours import eight_bits, on_white, turned, without_profile
from ml_backend.encoders.picture_limits import PictureLimits, memory_of, problem
from ml_backend.errors import BadItemError

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]
T = TypeVar("T")
FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
"""What is decoded. Pillow knows more; some of those (EPS) would start another program."""
GREY_SIDE: Final = 28
FINER: Final = 4
"""A grey picture far larger than asked for is first averaged to this many times the side."""
CENTRE: Final = 224 / 256
"""Share of the shorter side that is kept: what the networks of ImageNet are tested, and were tuned, with."""
KINDS: Final = (
    (b"%!PS", "EPS"),
    (b"%PDF", "PDF"),
    (b"<svg", "SVG"),
    (b"<html", "a web page"),
    (b"<!doctype html", "a web page"),
    (b"<?xml", "XML"),
    *((b"ftyp" + brand, "HEIC") for brand in (b"heic", b"heix", b"mif1", b"msf1")),
    (b"ftypavif", "AVIF"),
)
"""How files that are mistaken for pictures begin, in small letters or as they are."""
THUMBNAIL: Final = 160
SMALL_FILE: Final = 4_096
"""Bytes of a file that is its own thumbnail."""
JPEG_QUALITY: Final = 70
DEFAULT_LIMITS: Final = PictureLimits()
UNHEARD: Final = ("ignore", None, UserWarning, re.compile(r"PIL\."), 0)
"""What `warnings.filterwarnings` makes of `_opened`'s filter."""


@dataclass(frozen=True)
class PictureHeader:
    """What a file says of its picture before a pixel is decoded."""

    format: str
    """One of ``FORMATS``."""
    width: int
    height: int


def header(raw: bytes) -> PictureHeader:
    """Read it.

    Raises:
        BadItemError: no picture of ``FORMATS``.
    """
    try:
        with _opened(raw) as image:
            return PictureHeader(str(image.format), *image.size)
    except Exception as exc:  # a damaged file: Pillow raises many kinds of errors on those
        raise BadItemError(f"Not a readable image ({len(raw):,} bytes){_kind(raw)}: save it as {_formats()}") from exc


def _opened(raw: bytes | bytearray) -> Image.Image:
    """A picture of which no pixel is decoded yet.

    How large one may be `PictureLimits` say, lower than Pillow does, whose own limit warns on the terminal. It warns of
    damaged metadata, too, and then decodes the picture: whoever reads the terminal can do nothing with that.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    if UNHEARD not in warnings.filters:  # set anew it would be missing for a moment, which other threads might meet
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    return Image.open(io.BytesIO(raw), formats=FORMATS)


def decode(raw: bytes, side: int, *, limits: PictureLimits = DEFAULT_LIMITS) -> Pixels:
    """The centre of a picture of any size and mode in colour ``uint8 [side, side, 3]``.

    The first frame of an animation, turned as EXIF says, in sRGB where it has a colour profile, what is transparent on
    white. Its centre is a square of 7/8 of the shorter side.

    Args:
        raw: a file's bytes.
        side: in pixels.
        limits: what is refused before a pixel is decoded.

    Raises:
        BadItemError: no picture of ``FORMATS``, a damaged one, or one beyond the limits.
    """
    return decode_sides(raw, (side,), limits=limits)[0]


def decode_sides(raw: bytes, sides: Sequence[int], *, limits: PictureLimits = DEFAULT_LIMITS) -> list[Pixels]:
    """As `decode`, for several sides: the file is decoded once, where that gives each the very same pixels.

    Raises:
        BadItemError: as `decode`.
    """
    found: dict[int, Pixels] = {}
    for alike in _decoded_alike(raw, sides):

        def shrink(image: Image.Image, wanted: Sequence[int] = alike) -> list[Pixels]:
            return [_centre(image, side) for side in wanted]

        found |= dict(zip(alike, _decoded(raw, 2 * alike[0], limits, shrink), strict=True))
    return [found[side] for side in sides]


def _centre(image: Image.Image, side: int) -> Pixels:
    from PIL import Image

    part = CENTRE * min(image.size)
    left, top = (image.width - part) / 2, (image.height - part) / 2
    box = (left, top, left + part, top + part)
    small = _plain(image).resize((side, side), Image.Resampling.BICUBIC, box=box)
    colours = without_profile(on_white(small), image.info.get("icc_profile"))
    return np.array(turned(colours, image), dtype=np.uint8)


def _decoded_alike(raw: bytes, sides: Sequence[int]) -> list[list[int]]:
    """Sides in groups, for each of which a JPEG is decoded at one scale, see `_decoded`."""
    groups: dict[tuple[int, int], list[int]] = {}
    for side in dict.fromkeys(sides):
        size = (0, 0)
        if len(sides) > 1:
            # What is no picture is told by whoever decodes it.
            with suppress(Exception), _opened(raw) as image:
                image.draft(None, (2 * side, 2 * side))
                size = image.size
        groups.setdefault(size, []).append(side)
    return list(groups.values())


def decode_grey(raw: bytes | str, side: int = GREY_SIDE) -> Pixels:
    """A picture of any size and mode in grey ``uint8 [side, side]``, as a whole.

    Transparent parts become white, as annotators see them in the browser. Other sizes are scaled to fit and centred on
    the colour of their border; a grey picture of the size that is asked for comes through unchanged.

    Raises:
        BadItemError: as `decode`.
    """

    def shrink(image: Image.Image) -> Pixels:
        from PIL import Image, ImageOps

        whole = _plain(image)
        if (scale := FINER * side / min(image.size)) < 0.5:
            whole = whole.resize(tuple(round(s * scale) for s in image.size), Image.Resampling.BOX)
        grey = on_white(turned(whole, image)).convert("L")
        if grey.size != (side, side):
            pixels = np.asarray(grey)
            border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            colour = int(np.median(border))
            grey = ImageOps.pad(grey, (side, side), method=Image.Resampling.LANCZOS, color=colour)
        return np.array(grey, dtype=np.uint8)

    return _decoded(raw, FINER * side, DEFAULT_LIMITS, shrink)


def thumbnail(raw: bytes) -> bytes:
    """A small picture file for a page: of `THUMBNAIL` pixels at most a side, as JPEG; a small file stays as it is.

    Raises:
        BadItemError: as `decode`.
    """

    def shrink(image: Image.Image) -> bytes:
        if len(raw) <= SMALL_FILE:
            return raw
        small = _plain(image)
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        colours = without_profile(on_white(small), image.info.get("icc_profile"))
        content = io.BytesIO()
        turned(colours, image).convert("RGB").save(content, "JPEG", quality=JPEG_QUALITY)
        return content.getvalue()

    return _decoded(raw, THUMBNAIL, DEFAULT_LIMITS, shrink)


def _decoded(raw: bytes | str, least: int, limits: PictureLimits, shrink: Callable[[Image.Image], T]) -> T:
    """What ``shrink`` makes of a decoded picture.

    A JPEG is decoded at an eighth, a quarter or half of its size, where its shorter side stays at ``least`` or more.
    """
    if not isinstance(raw, (bytes, bytearray)):
        raise BadItemError(f"Expected the bytes of an image, got {type(raw).__name__}; check the value of <Image>")
    from PIL import UnidentifiedImageError

    try:
        with _opened(raw) as image:
            pixels = image.width * image.height
            image.draft(None, (least, least))  # None: in its own colours
            if reason := problem(image, pixels, limits):
                raise BadItemError(f"The image is too large to be decoded: {reason}; scale it down")
            with limits.gate.taking(memory_of(image, pixels)):
                image.load()
                return shrink(image)
    except BadItemError:
        raise
    except UnidentifiedImageError as exc:
        raise BadItemError(f"Not a readable image ({len(raw):,} bytes){_kind(raw)}: save it as {_formats()}") from exc
    # A decompression bomb, or a damaged file: Pillow's decoders raise many kinds of errors on those.
    except Exception as exc:
        raise BadItemError(f"Not a readable image ({len(raw):,} bytes): {exc}; save it anew") from exc


def _plain(image: Image.Image) -> Any:
    """The picture in a mode that can be scaled: ``L``, ``RGB``, ``RGBA`` or ``CMYK``."""
    if image.mode in ("PA", "LA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode.startswith(("I", "F")):
        return eight_bits(image)
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _kind(raw: bytes) -> str:
    """What a file that is no picture is, where its first bytes tell."""
    start = raw[:200].lower()
    found = next((kind for sign, kind in KINDS if sign.lower() in start), None)
    return f", it is {found}" if found else ""


def _formats() -> str:
    shown = [name for name in FORMATS if name != "TIFF"]  # which is read, but no browser shows it to annotators
    return f"{', '.join(shown[:-1])} or {shown[-1]}"
