"""What an older version fetched with the token from where it must not is forgotten when its file is opened."""

import io
import sqlite3
from contextlib import closing

from bench.shapes import coloured_shapes
from PIL import Image

from ml_backend.encoders.pictures import SMALL_FILE
from ml_backend.label_studio.task_cache import TaskCache

GOOD = ["/data/upload/1/a.png", "https://pictures.example/a.png"]
BAD = ["/api/current-user/token", "http://studio/api/current-user/token", "/data/upload/../../user/account"]


def test_media_of_older_versions(tmp_path):
    path = tmp_path / "tasks.sqlite"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("CREATE TABLE media (url TEXT PRIMARY KEY, content BLOB NOT NULL)")
        old.executemany("INSERT INTO media VALUES (?, 'x')", [(url,) for url in GOOD + BAD])
    path.chmod(0o644)
    cache = TaskCache(path)
    assert [url for url in GOOD + BAD if cache.cached_media(url)] == GOOD
    assert path.stat().st_mode & 0o777 == 0o600


def test_pictures_are_kept_small(tmp_path):
    """Of a pool of photographs the whole files would fill the disk."""
    (large,), _ = coloured_shapes(1, side=2_000)
    (small,), _ = coloured_shapes(1, side=60)
    assert len(small) <= SMALL_FILE < len(large)
    cache = TaskCache(tmp_path / "tasks.sqlite")
    for url, content in {"large": large, "small": small, "none": b"no picture"}.items():
        cache.keep_thumbnail(url, content)
    assert cache.picture("small") == small
    assert cache.picture("none") is None
    with Image.open(io.BytesIO(cache.picture("large"))) as image:
        assert (image.format, image.size) == ("JPEG", (160, 160))
    assert cache.cached_media("large") is None


def test_whole_files_of_older_versions_become_thumbnails_and_their_space_is_given_back(tmp_path):
    path = tmp_path / "tasks.sqlite"
    files, _ = coloured_shapes(40, side=900)
    cache = TaskCache(path)
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("CREATE TABLE media (url TEXT PRIMARY KEY, content BLOB NOT NULL)")
        old.executemany("INSERT INTO media VALUES (?, ?)", [(str(n), raw) for n, raw in enumerate(files)])
    before = path.stat().st_size
    assert cache.picture("7") == files[7]
    for number in range(39):
        cache.keep_thumbnail(str(number), cache.cached_media(str(number)))
    cache.shrink()
    assert path.stat().st_size >= before, "one file is whole yet"
    cache.keep_thumbnail("39", files[39])
    cache.shrink()
    assert path.stat().st_size < before / 2
    assert cache.picture("7") != files[7]
