"""Files of pictures as people have them, good and bad."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

QUARTERS = ((220, 30, 30), (30, 160, 40), (30, 60, 210), (230, 210, 40))
"""Colours of the four quarters of `quarters`: top left, top right, bottom left, bottom right."""


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def quarters(width: int = 320, height: int = 240) -> Image.Image:
    """A picture of four colours: it tells which side is up, and whether colours are kept."""
    image = Image.new("RGB", (width, height))
    for i, colour in enumerate(QUARTERS):
        left, top = (i % 2) * width // 2, (i // 2) * height // 2
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


def colours_of(pixels: Pixels) -> list[tuple[int, int, int]]:
    """The colours in the middle of the four quarters of a decoded picture, in the order of ``QUARTERS``."""
    low, high = len(pixels) // 4, 3 * len(pixels) // 4
    return [tuple(int(v) for v in pixels[y, x]) for y in (low, high) for x in (low, high)]


def exif(orientation: int) -> Image.Exif:
    """Metadata that say how a picture is turned."""
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def stored_as(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as a camera stores it, so that the EXIF orientation turns it back."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return image.transpose(undo[orientation]) if orientation in undo else image


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
