"""Picture files of coloured shapes, for benchmarks and tests: seeded, so that they are the same everywhere."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("square", "circle", "triangle")


def coloured_shapes(count: int, *, side: int = 128, seed: int = 0) -> tuple[list[bytes], list[str]]:
    """JPEG files of shapes in any colours, sizes and places, and the name of each shape."""
    draws = np.random.default_rng(seed)
    files, names = [], []
    for number in range(count):
        name = SHAPES[number % len(SHAPES)]
        picture = Image.new("RGB", (side, side), tuple(draws.integers(0, 256, 3).tolist()))
        size = int(draws.integers(side // 4, side // 2))
        left, top = draws.integers(4, side - size - 4, 2).tolist()
        box, colour = (left, top, left + size, top + size), tuple(draws.integers(0, 256, 3).tolist())
        pen = ImageDraw.Draw(picture)
        if name == "square":
            pen.rectangle(box, fill=colour)
        elif name == "circle":
            pen.ellipse(box, fill=colour)
        else:
            pen.polygon([(left, top + size), (left + size, top + size), (left + size // 2, top)], fill=colour)
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=85)
        files.append(content.getvalue())
        names.append(name)
    return files, names
