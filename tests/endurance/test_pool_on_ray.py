"""A pool on a Ray cluster of two nodes: the vectors, picks and predictions of one machine, also where workers die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.places import REPOSITORY
from support.ray_cluster import two_nodes
from support.tables import headline_rows, write_table

ROWS = 40_000
PATHS = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}:{REPOSITORY / 'scripts'}"}
CHILD = """
import json, os, sys
from pathlib import Path
import numpy as np
from support.tables import pool_of, project_store, trained
from ml_backend.config import Settings
from ml_backend.pool import engine
from ml_backend.pool.document import connect
from ml_backend.pool.embed import EmbedOptions, embed
from ml_backend.pool.encoders import TEXT, PoolEncoder
from ml_backend.pool.prediction_step import predict_pool, version_head
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.scoring import Wanted
from ml_backend.pool.source import Source
from ml_backend.pool.spread import spread_pass
from ml_backend.pool.vectors import Vectors, folder_of

engine.use(os.environ.get("RAY_ADDRESS"))
place, out, looked_at = sys.argv[1], *map(Path, sys.argv[2:4])
pool = pool_of(place)
vectors = Vectors(folder_of(project_store(out), "wordllama"))
options = EmbedOptions(part_rows=2_000)
wait = "wait" in sys.argv
def told(done, total):
    global wait
    if wait and done >= 4_000:
        wait = False
        print("under way", flush=True)
        sys.stdin.readline()
done = embed(Source(pool), vectors, PoolEncoder(TEXT, "wordllama"), options, progress=told)
store = project_store(looked_at)  # one pass over the same numbers, in the same row groups
vectors = Vectors(folder_of(store, "wordllama"))
if store.current().version is None:
    connect(store, pool)
    trained(store)
head = version_head(store)
known = np.sort(row_keys(["r5", "r77"]))
near = np.random.default_rng(0).normal(size=(3, 256)).astype(np.float32)
wanted = [
    Wanted(best=100, drawn=50, strategy=name, seed=3, taken=np.sort(row_keys(["r6"])), known=known, near=near)
    for name in ("entropy", "bald")
]
found = [spread_pass(vectors, each, head) for each in wanted]
predict_pool(Settings(model_dir=looked_at, text_model="auto"), store, str(out / "predictions"))
print(json.dumps({"new": done.new, "rows": [each.rows for each in found], "picks": [
    [part.names for part in (each.best, each.drawn, each.random, *each.near)] + [sorted(each.known.names)]
    for each in found
]}))
"""


def told(place: Path, out: Path, env: dict[str, str], kill=None) -> dict[str, object]:
    """What a process of its own makes of the pool; ``kill`` is called once some of it is embedded."""
    looked_at = out.with_name("alone")
    command = [sys.executable, "-c", CHILD, str(place), str(out), str(looked_at), *(["wait"] if kill else [])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | PATHS | env
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if kill:
            assert child.stdout.readline() == "under way\n"
            kill()
            child.stdin.write("\n")
            child.stdin.flush()
        return json.loads(child.stdout.readlines()[-1])


def vectors_of(out: Path) -> dict[str, list[float]]:
    rows = [row for path in sorted(out.glob("project-*/pool/wordllama/part-*.parquet")) for row in read(path)]
    found = {row["id"]: row["vector"] for row in rows}
    assert len(found) == len(rows), "a row was embedded twice"
    return found


def predictions_of(out: Path) -> dict[str, tuple[object, object]]:
    rows = [row for path in (out / "predictions").glob("*") for row in read(path)]
    return {row["id"]: (row["label"], pytest.approx(row["probability"], abs=1e-5)) for row in rows}


def read(path: Path) -> list[dict[str, object]]:
    return pq.read_table(path).to_pylist()


def workers_of(group: int) -> list[int]:
    """The processes of a node that embed."""
    listed = subprocess.run(["ps", "-eo", "pid,pgid,args"], capture_output=True, text=True, check=True).stdout
    found = [line.split(maxsplit=2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, of, what in found if int(of) == group and what.startswith("ray::UDFActor")]


@pytest.mark.timeout(1200)
def test_two_nodes_give_what_one_machine_gives_though_workers_die(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("r")
    for number in range(4):
        part = ROWS // 4
        write_table(tmp / "p" / f"{number}.parquet", headline_rows(part, part * number))
    alone = told(tmp / "p", tmp / "alone", {"RAY_ADDRESS": ""})
    assert alone["new"] == ROWS
    assert alone["rows"] == [ROWS, ROWS]
    predicted = predictions_of(tmp / "alone")
    with two_nodes(tmp, PATHS) as cluster:

        def kill_a_worker() -> None:
            for worker in workers_of(cluster.other.pid):
                os.kill(worker, signal.SIGKILL)

        def kill_a_node() -> None:
            os.killpg(cluster.other.pid, signal.SIGKILL)

        for name, kill in (("worker", kill_a_worker), ("node", kill_a_node)):
            together = told(tmp / "p", tmp / name, cluster.env, kill)
            assert together == alone
            assert vectors_of(tmp / name) == vectors_of(tmp / "alone")
            assert predictions_of(tmp / name) == predicted
