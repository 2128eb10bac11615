"""The one decoder of pictures from outside: every kind that people have, at a bounded cost, or a clear error."""

import subprocess
import sys
from threading import Thread

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.pictures import QUARTERS, colours_of, exif, png_header, quarters, saved, stored_as

from ml_backend.encoders.picture_limits import MAX_MEMORY, MAX_PIXELS, MemoryGate, PictureLimits
from ml_backend.encoders.pictures import FORMATS, decode, decode_grey, decode_sides, header
from ml_backend.errors import BadItemError


def assert_quarters(pixels, tolerance=6):
    assert pixels.dtype == np.uint8
    assert np.abs(np.array(colours_of(pixels)) - np.array(QUARTERS)).max() <= tolerance


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_in_its_colours(kind):
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    pixels = decode(saved(quarters(), kind, **options), 64)
    assert pixels.shape == (64, 64, 3)
    assert_quarters(pixels)


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_in_its_colours(mode):
    image = quarters().quantize(8) if mode == "P" else quarters().convert(mode)
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    assert_quarters(decode(saved(image, kind, **({"quality": 95} if kind == "JPEG" else {})), 64), tolerance=8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_turned_picture_is_turned_back(orientation, kind):
    raw = saved(stored_as(quarters(), orientation), kind, exif=exif(orientation))
    assert_quarters(decode(raw, 64), tolerance=12)
    upright = decode_grey(saved(quarters(), kind))
    np.testing.assert_allclose(decode_grey(raw).astype(int), upright, atol=12)


def test_damaged_metadata_leave_the_picture_as_it_is():
    raw = saved(quarters(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert_quarters(decode(raw, 64), tolerance=12)
    assert decode_grey(raw).shape == (28, 28)
    half = saved(quarters(), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01")  # Pillow warns of it
    assert_quarters(decode(half, 64), tolerance=12)


def test_16_bits_keep_their_shades():
    ramp = np.repeat(np.linspace(0, 65535, 256).astype(np.uint16)[None], 256, axis=0)
    for pixels in (decode(saved(Image.fromarray(ramp)), 64)[..., 0], decode_grey(saved(Image.fromarray(ramp)))):
        middle = pixels[len(pixels) // 2].astype(int)
        assert (np.diff(middle) > 0).all()
        assert middle[0] < 40
        assert middle[-1] > 215


def test_of_an_animation_the_first_frame():
    frames = [Image.new("RGB", (40, 30), colour) for colour in ((200, 10, 10), (10, 200, 10), (10, 10, 200))]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        raw = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert np.abs(decode(raw, 32).astype(int) - (200, 10, 10)).max() <= 4, kind


def test_what_is_transparent_is_white_and_its_hidden_colour_does_not_bleed():
    image = Image.new("RGBA", (256, 256), (0, 255, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 128, 256))
    pixels = decode(saved(image), 64).astype(int)
    assert np.abs(pixels[:, -8:] - 255).max() == 0
    assert np.abs(pixels[:, :8] - (200, 0, 0)).max() <= 1
    assert (pixels[..., 1] <= pixels[..., 0] + 1).all(), "green shows nowhere"
    shown = Image.new("P", (256, 256), 1)
    shown.putpalette([0, 0, 0, 200, 0, 0])
    assert (decode(saved(shown, "PNG", transparency=1), 8) == 255).all()


def test_a_colour_profile_is_applied():
    """The linear red, green and blue of a profile made here: half of the light is 188 of 255 in sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    assert np.abs(decode(saved(grey, "PNG", icc_profile=profile), 8).astype(int) - 128).max() <= 1
    pixels = decode(saved(grey, "PNG", icc_profile=linear(profile)), 8).astype(int)
    assert np.abs(pixels - 188).max() <= 2


def linear(profile):
    """An sRGB profile with its three tone curves replaced by straight lines, in place."""
    import struct

    out = bytearray(profile)
    count = struct.unpack(">I", profile[128:132])[0]
    for i in range(count):
        name, start, _ = struct.unpack(">4sII", profile[132 + 12 * i : 144 + 12 * i])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            out[start : start + 14] = b"curv" + bytes(4) + struct.pack(">I", 1) + struct.pack(">H", 256)
            out[132 + 12 * i + 8 : 144 + 12 * i] = struct.pack(">I", 14)
    return bytes(out)


def test_a_damaged_profile_is_ignored_as_browsers_do():
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (b"no profile", good[:200], good[:128] + bytes(len(good) - 128)):
        assert_quarters(decode(saved(quarters(), "PNG", icc_profile=profile), 64))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert_quarters(decode(saved(quarters(), "PNG", icc_profile=lab), 64))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_tiny_and_thin_pictures(size, mode):
    kind = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    raw = saved(Image.new(mode, size), kind)
    assert decode(raw, 16).shape == (16, 16, 3)
    assert decode_grey(raw).shape == (28, 28)


def test_a_photograph_is_decoded_small_and_looks_the_same():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((2048, 1536), Image.BICUBIC)
    raw, whole = saved(smooth, "JPEG", quality=95), saved(smooth, "PNG")
    assert np.abs(decode(raw, 64).astype(int) - decode(whole, 64)).max() <= 6
    assert np.abs(decode_grey(raw).astype(int) - decode_grey(whole)).max() <= 6


class Counted(MemoryGate):
    """Counts what is decoded."""

    times = 0

    def taking(self, memory):
        self.times += 1
        return super().taking(memory)


@pytest.mark.parametrize(
    ("size", "kind", "decoded"),
    [
        ((4000, 3000), "JPEG", 1),  # at a quarter of its size for both sides
        ((1200, 900), "JPEG", 2),  # at half of it for the smaller side alone
        ((1200, 900), "PNG", 1),
        ((224, 224), "JPEG", 1),
    ],
)
def test_of_several_sides_each_has_the_pixels_that_it_has_alone(size, kind, decoded):
    grain = Image.effect_noise((size[0] // 8, size[1] // 8), 60).resize(size)
    raw = saved(Image.merge("RGB", (grain, grain.rotate(180), grain)), kind)
    gate = Counted(MAX_MEMORY)
    both = decode_sides(raw, (240, 224, 240), limits=PictureLimits(gate=gate))
    assert gate.times == decoded
    for pixels, side in zip(both, (240, 224, 240), strict=True):
        np.testing.assert_array_equal(pixels, decode(raw, side))


def test_a_huge_picture_is_refused_by_its_header():
    for side, pixels in ((8_000, "64,000,000"), (10_000, "100,000,000"), (20_000, "400,000,000")):
        raw = png_header(side, side)  # from 89 million on Pillow warns, from twice as many it refuses
        assert header(raw).width == side
        for read in (lambda raw=raw: decode(raw, 16), lambda raw=raw: decode_grey(raw)):
            with pytest.raises(BadItemError, match=rf"too large.*{pixels} pixels, the limit is 50,000,000; scale it"):
                read()
    assert MAX_PIXELS < 8_000 * 8_000


def test_a_small_file_that_would_take_much_memory_is_refused():
    raw = saved(Image.new("L", (5_000, 5_000)), "WEBP")
    with pytest.raises(BadItemError, match=r"25,000,000 pixels as WEBP take 500 MB of memory, the limit is 320 MB"):
        decode(raw, 16)
    progressive = saved(Image.new("RGB", (1_000, 1_000)), "JPEG", progressive=True)
    with pytest.raises(BadItemError, match="6 MB of memory, the limit is 5 MB"):
        decode(progressive, 16, limits=PictureLimits(memory=5_000_000))
    assert MAX_MEMORY == 320_000_000


PEAK = """
import io, sys
from PIL import Image
from ml_backend.encoders.pictures import decode, decode_grey
from ml_backend.errors import BadItemError
import PIL.ImageOps, PIL.WebPImagePlugin, PIL.ImageCms, resource
raw = sys.stdin.buffer.read()
decode(open({small!r}, "rb").read(), 16); decode_grey(open({small!r}, "rb").read())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (lambda: decode(raw, 224), lambda: decode_grey(raw)):
    try:
        read()
    except BadItemError:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("kind", "mode", "pixels", "limit"),
    [("WEBP", "L", 7_000, 40), ("JPEG", "RGB", 5_000, 40), ("PNG", "RGBA", 3_000, 90), ("PNG", "I;16", 4_000, 90)],
)
def test_memory_stays_within_what_was_estimated(kind, mode, pixels, limit, tmp_path):
    """Megabytes above those of a tiny picture, of a process of its own."""
    small = tmp_path / "small"
    small.write_bytes(saved(Image.new("RGB", (8, 8)), "WEBP"))
    raw = saved(Image.new(mode, (pixels, pixels)), kind)
    done = subprocess.run(
        [sys.executable, "-c", PEAK.format(small=str(small))], input=raw, capture_output=True, timeout=120, check=True
    )
    assert int(done.stdout) < limit * 1_000


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "0 bytes"),
        (b"no picture", r"Not a readable image \(10 bytes\): save it as JPEG, PNG, GIF, WEBP or BMP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is EPS"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "it is SVG"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "it is SVG"),
        (b"<!DOCTYPE html><title>Log in</title>", "it is a web page"),
        (b"%PDF-1.7\n", "it is PDF"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "it is HEIC"),
        (saved(quarters(), "PNG")[:300], "Not a readable image"),
        (saved(quarters(), "JPEG")[:900], "Not a readable image"),
        (saved(quarters(), "WEBP")[:60], "Not a readable image"),
        (saved(quarters(), "GIF")[:40], "Not a readable image"),
        ("a text", "got str; check the value of <Image>"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_picture_is_said(raw, message):
    for read in (lambda: decode(raw, 16), lambda: decode_grey(raw)):
        with pytest.raises(BadItemError, match=message):
            read()


def test_an_eps_never_reaches_ghostscript():
    """Pillow itself would open it."""
    raw = saved(quarters(), "EPS")
    import io

    assert Image.open(io.BytesIO(raw)).format == "EPS"
    with pytest.raises(BadItemError, match="it is EPS"):
        decode(raw, 16)


def test_pictures_wait_for_memory_that_others_have():
    gate, order = MemoryGate(100), []
    limits = PictureLimits(gate=gate)
    raw = saved(quarters())

    def work():
        decode(raw, 16, limits=limits)
        order.append("decoded")

    thread = Thread(target=work)
    with gate.taking(60):
        thread.start()
        thread.join(timeout=0.2)
        order.append("given back")
    thread.join(timeout=60)
    assert order == ["given back", "decoded"]
    with pytest.raises(BadItemError), gate.taking(0):
        decode(saved(quarters(), "JPEG")[:900], 16, limits=limits)
    decode(raw, 16, limits=limits)  # a damaged one has given its memory back
