"""What an older version fetched with the token from where it must not is forgotten when its file is opened."""

import sqlite3
from contextlib import closing

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
    cache.keep_media("/data/upload/2/b.png", b"new")
    assert TaskCache(path).cached_media("/data/upload/2/b.png") == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
