"""An embedding that is killed: nothing is made twice, and nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import sys

from support.places import REPOSITORY
from support.tables import headline_rows, pool_of, write_table

from ml_backend.pool.embed import embed
from ml_backend.pool.encoders import TEXT, PoolEncoder
from ml_backend.pool.source import Source
from ml_backend.pool.vectors import Vectors

CHILD = """
import signal, sys
from pathlib import Path
from support.tables import pool_of
from ml_backend.pool.embed import EmbedOptions, embed
from ml_backend.pool.encoders import TEXT, PoolEncoder
from ml_backend.pool.source import Source
from ml_backend.pool.vectors import Vectors
vectors = Vectors(Path(sys.argv[2]))
def stop(done, total):
    if vectors.count():  # a part is written while the next is made
        print(done, flush=True)
        signal.pause()
embed(Source(pool_of(sys.argv[1])), vectors, PoolEncoder(TEXT, "wordllama"),
      EmbedOptions(part_rows=100), progress=stop)
"""


def test_a_killed_embedding_goes_on(tmp_path):
    rows = headline_rows(3000)
    for number in range(3):
        write_table(tmp_path / "p" / f"{number}.parquet", rows[1000 * number : 1000 * (number + 1)])
    folder = tmp_path / "pool" / "wordllama"
    path = f"{REPOSITORY}:{REPOSITORY / 'tests'}:{REPOSITORY / 'scripts'}"
    command = [sys.executable, "-c", CHILD, str(tmp_path / "p"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": path, "PATH": ""}) as child:
        assert child.stdout is not None
        done = int(child.stdout.readline())  # a part is on the disk, and it stands still
        child.send_signal(signal.SIGKILL)
    vectors = Vectors(folder)
    kept = vectors.count()
    assert 0 < kept <= done < len(rows)
    again = embed(Source(pool_of(tmp_path / "p")), vectors, PoolEncoder(TEXT, "wordllama"))
    assert again.new == len(rows) - kept
    found = [row for batch in vectors.ids() for row in batch.to_pylist()]
    assert sorted(found) == sorted(row for row, _ in rows)
