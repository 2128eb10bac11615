"""Raw images of tasks → small grey squares, as the image model sees them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BadItemError

if TYPE_CHECKING:
    from PIL import Image

Images = NDArray[np.uint8]
SIDE = 28
MAX_PIXELS = 50_000_000
"""A picture to be seen at 28 x 28 is never larger; a decompression bomb is."""


def read_grey(raw: bytes | str) -> Images:
    """Decode an image of any size and mode to grey ``uint8 [28, 28]``.

    Transparent parts become white, as annotators see them in the browser. Other sizes are scaled to fit and
    centred on the colour of their border; a grey 28 x 28 image comes through unchanged.

    Raises:
        BadItemError: no image of a known format, a truncated one, or one far too large to be a real picture.
    """
    if not isinstance(raw, (bytes, bytearray)):
        raise BadItemError(f"Expected the bytes of an image, got {type(raw).__name__}; check the value of <Image>")
    from PIL import Image

    try:
        with Image.open(io.BytesIO(raw)) as image:
            # Nothing is decoded yet; Pillow itself only warns up to 179 million pixels.
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels, limit {MAX_PIXELS}")
            return _fit_grey(image)
    # A decompression bomb, or a damaged file: Pillow's decoders raise many kinds of errors on those.
    except Exception as exc:
        raise BadItemError(f"Not a readable image ({len(raw)} bytes): {exc}") from exc


def _fit_grey(image: Image.Image) -> Images:
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    elif image.mode.startswith(("I", "F")):
        # Pillow would clip 16- and 32-bit grey at 255; scale it instead.
        values = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(0)
        top = 65535.0 if image.mode.startswith("I") else max(float(values.max()), 1.0)
        image = Image.fromarray((values.clip(0, top) * (255 / top)).round().astype(np.uint8))
    grey = image.convert("L")
    if grey.size != (SIDE, SIDE):
        pixels = np.asarray(grey)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        grey = ImageOps.pad(grey, (SIDE, SIDE), method=Image.Resampling.LANCZOS, color=int(np.median(border)))
    return np.array(grey, dtype=np.uint8)
