"""Bodies are unpacked no further than they may."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.fetching.bodies import BodyError, unpacked


def read(chunks, encoding="", most=1000):
    return b"".join(unpacked(chunks, encoding, most=most))


def pieces(content, size):
    return [content[start : start + size] for start in range(0, len(content), size)]


@given(st.lists(st.binary(max_size=300), max_size=3), st.integers(1, 50))
def test_gzip_arrives_whole_in_any_pieces(contents, size):
    packed = b"".join(gzip.compress(content) for content in contents)
    assert read(pieces(packed, size), "gzip", 10_000) == b"".join(contents)


def test_bytes_that_are_not_packed():
    assert read([b"ab", b"", b"c"], "identity") == b"abc"
    assert read([], "gzip") == b""


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_largest_body(encoding):
    def body(size):
        return [gzip.compress(b"x" * size)] if encoding else [b"x" * size]

    assert len(read(body(1000), encoding)) == 1000
    with pytest.raises(BodyError, match="larger than"):
        read(body(1001), encoding)


def test_a_bomb_is_not_unpacked():
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(100)) + bomb.flush()
    tracemalloc.start()
    with pytest.raises(BodyError, match="larger than"):
        read([packed], "gzip", 1 << 20)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 << 20


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "x" * 999])
def test_other_packings_are_refused(encoding):
    with pytest.raises(BodyError, match="was not asked for"):
        read([b"x"], encoding)


def test_damaged_gzip():
    packed = gzip.compress(b"some text of some length")
    with pytest.raises(BodyError, match="cut off"):
        read([packed[:-9]], "gzip")
    with pytest.raises(BodyError, match="damaged"):
        read([b"no gzip"], "gzip")
