"""`lsal pool` for a project of a real Label Studio, with its rows in an S3 of our own."""

from __future__ import annotations

import base64
import json

import httpx
import pyarrow.parquet as pq
import pytest
from processes import free_port
from support.bucket import BUCKET, KEY, SECRET, bucket
from support.scripts import run, tasks_of
from support.tables import CONFIG, LIGHT, PICTURES_CONFIG, headline_rows, pool_of, trained, write_picture, write_table
from support.waiting import until

from ml_backend.cli import pool, sync
from ml_backend.errors import DataError
from ml_backend.pool.bucket_times import times_below
from ml_backend.pool.embed import embed
from ml_backend.pool.encoders import GREY, PIXELS, PoolEncoder
from ml_backend.pool.predict import predict
from ml_backend.pool.prediction_step import version_head
from ml_backend.pool.source import Source
from ml_backend.pool.vectors import Vectors, folder_of
from ml_backend.store.project_store import open_project

__all__ = ["bucket", "run"]


def reach(bucket, monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": bucket.url,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


def test_another_file_of_the_same_size_is_seen_in_a_bucket(bucket, tmp_path, monkeypatch):
    """By the time of its last change, of which a bucket tells seconds: pictures, and a table while it is read."""
    reach(bucket, monkeypatch)
    bucket.client.upload_file(str(write_table(tmp_path / "t.csv", headline_rows(5))), BUCKET, "same table/t.csv")
    table = Source(pool_of(f"s3://{BUCKET}/same table")).ids()
    next(table)
    keys = ["same/1.bmp", "same/below/2.bmp", "same/below/3 ä.bmp"]
    for key in keys:
        bucket.client.upload_file(str(write_picture(tmp_path / "one.bmp", side=28)), BUCKET, key)
    vectors, encoder = Vectors(tmp_path / "vectors"), PoolEncoder(PIXELS, GREY)
    pool = pool_of(f"s3://{BUCKET}/same")
    assert embed(Source(pool), vectors, encoder).new == 3
    assert embed(Source(pool), vectors, encoder).changed == 0
    before = bucket.client.head_object(Bucket=BUCKET, Key=keys[2])
    write_picture(tmp_path / "other.bmp", (250, 250, 250), side=28)

    def is_later():
        bucket.client.upload_file(str(tmp_path / "other.bmp"), BUCKET, keys[2])
        return bucket.client.head_object(Bucket=BUCKET, Key=keys[2])["LastModified"] > before["LastModified"]

    until(is_later, "a later second")
    assert bucket.client.head_object(Bucket=BUCKET, Key=keys[2])["ContentLength"] == before["ContentLength"]
    assert embed(Source(pool), vectors, encoder).changed == 1
    assert embed(Source(pool), vectors, encoder).changed == 0
    bucket.client.upload_file(str(write_table(tmp_path / "t.csv", headline_rows(5, 2))), BUCKET, "same table/t.csv")
    with pytest.raises(DataError, match=rf"s3://{BUCKET}/same table/t\.csv was changed while the pool was read"):
        list(table)


def test_times_that_cannot_be_listed_are_told_and_count_for_nothing(monkeypatch, caplog):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert times_below("s3://bucket/p/").of(["s3://bucket/p/1.bmp"]) == [0]
    assert "s3://bucket/p/ were changed cannot be listed" in caplog.text
    assert SECRET not in caplog.text
    assert times_below("gs://bucket/p/").of(["gs://bucket/p/1.bmp"]) == [0]


def test_a_pool_in_a_bucket_is_connected_embedded_predicted_and_let_go(
    run, make_project, bucket, tmp_path, monkeypatch
):
    monkeypatch.setenv("TEXT_MODEL", "auto")
    reach(bucket, monkeypatch)
    for number in range(2):
        path = write_table(tmp_path / f"{number}.parquet", headline_rows(30, 30 * number))
        bucket.client.upload_file(str(path), BUCKET, f"pool/{number}.parquet")
    project, place = make_project(config=CONFIG), f"s3://{BUCKET}/pool"
    to = ("--project", project.id)

    told = run(pool, "connect", place, *to, "--dry-run").output
    assert f"{place}: 60 rows in 2 files (parquet" in told
    assert "Dry run: nothing was kept." in told
    assert "knows no project" in run(pool, "status", *to, code=1).output
    run(pool, "connect", place, *to)
    store = open_project(tmp_path / "versions", project.id)
    store.set_extra_params(LIGHT)
    assert "Nothing is embedded yet" in run(pool, "status", *to).output
    assert "60 rows; 60 new vectors of wordllama" in run(pool, "embed", *to).output
    assert "60 rows; 0 new vectors" in run(pool, "embed", *to).output
    (embedding,) = json.loads(run(pool, "status", *to, "--json").output)["embeddings"]
    assert (embedding["encoder"], embedding["rows"], embedding["bad"]) == ("wordllama", 60, 0)

    trained(store)
    vectors, head = Vectors(folder_of(store, "wordllama")), version_head(store)

    def stop(done, total):
        raise KeyboardInterrupt

    broken_off = f"s3://{BUCKET}/broken-off"
    with pytest.raises(KeyboardInterrupt):
        predict(vectors, head, broken_off, part_rows=10, progress=stop)
    assert "Contents" not in bucket.client.list_objects_v2(Bucket=BUCKET, Prefix="broken-off/")
    assert predict(vectors, head, broken_off, part_rows=10).rows == 60
    assert len(bucket.client.list_objects_v2(Bucket=BUCKET, Prefix="broken-off/")["Contents"]) == 1
    out = f"s3://{BUCKET}/predictions"
    assert "60 rows by sentences-0001-0123abcd" in run(pool, "predict", *to, "--out", out).output
    (written,) = bucket.client.list_objects_v2(Bucket=BUCKET, Prefix="predictions/")["Contents"]
    bucket.client.download_file(BUCKET, written["Key"], str(tmp_path / "told.parquet"))
    rows = pq.read_table(tmp_path / "told.parquet").to_pylist()
    assert sorted(row["id"] for row in rows) == sorted(row for row, _ in headline_rows(60))
    assert {row["label"] for row in rows} == {"flood"}
    assert "in it already" in run(pool, "predict", *to, "--out", out, code=1).output

    a_round_makes_tasks_of_pictures(run, make_project, bucket, tmp_path)
    refused = httpx.post(f"{bucket.url}/moto-api/reset-auth", content=b"0")  # from now on it looks at credentials
    assert refused.is_success
    told = run(pool, "embed", *to, code=1).output
    assert "the credentials are wrong, or do not reach this far" in told
    assert SECRET not in told
    assert KEY not in told

    assert "has no pool any more" in run(pool, "disconnect", *to).output
    assert not (store.folder / "pool").exists()


def a_round_makes_tasks_of_pictures(run, make_project, bucket, folder):
    """Pictures beside the tables: what people are shown is in the task, so that no page needs the bucket."""
    files = [write_picture(folder / "p" / f"{number}.png", (number * 9, 90, 200), side=28) for number in range(24)]
    for path in files:
        bucket.client.upload_file(str(path), BUCKET, f"pictures/{path.name}")
    bucket.client.put_object(Bucket=BUCKET, Key="pictures/broken.png", Body=files[0].read_bytes()[:60])
    project = make_project(config=PICTURES_CONFIG)
    to = ("--project", project.id)
    run(pool, "connect", f"s3://{BUCKET}/pictures", *to)
    open_project(folder / "versions", project.id).set_extra_params({"image_model": "mnist_cnn"})
    told = run(sync, *to, "--train", "--queue", 10).output
    assert "embed" in told
    tasks = {row["data"]["pool_id"]: row["data"]["image"] for row in tasks_of(project)}
    assert len(tasks) == 10
    for path in files:
        if path.name in tasks:
            kind, content = tasks[path.name].split(",", 1)
            assert kind == "data:image/png;base64"
            assert base64.b64decode(content) == path.read_bytes()
