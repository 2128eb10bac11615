"""Files in a bucket, through Label Studio's resolver and with its credentials, which we never see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from processes import ServerProcess, free_port
from support.pictures import quarters, saved
from support.scripts import run, tasks_of, write

from ml_backend.cli import import_tasks
from ml_backend.errors import BadItemError
from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.label_studio.media import MediaReader
from ml_backend.records import Task

__all__ = ["run"]
BUCKET, KEY, SECRET = "texts-and-pictures", "AKIAEXAMPLE", "a-secret-of-the-bucket"
TEXT = """<View><Text name="t" value="$text" valueType="url"/><Choices name="c" toName="t"><Choice value="A"/>
<Choice value="B"/></Choices></View>"""
IMAGE = """<View><Image name="t" value="$image"/><Choices name="c" toName="t"><Choice value="A"/>
<Choice value="B"/></Choices></View>"""


@dataclass(frozen=True)
class Bucket:
    """A bucket in an S3 of our own."""

    url: str
    client: Any

    def connect(self, project: Any, *, presign: bool) -> None:
        """Connect the bucket to a project, as its settings page does."""
        storage = {
            "project": project.id,
            "bucket": BUCKET,
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "s3_endpoint": self.url,
            "region_name": "us-east-1",
            "use_blob_urls": True,
            "presign": presign,
            "presign_ttl": 1,
        }
        project.client.request("POST", "api/storages/s3", body=storage, what="Storage")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """An S3 (moto's server) with a bucket."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = tmp_path_factory.mktemp("moto") / "moto.log"
    with ServerProcess("moto", command, log=log) as server:
        server.wait_healthy(f"{url}/moto-api/")
        client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket=BUCKET)
        yield Bucket(url, client)
        client.close()


def reader(project: Any) -> MediaReader:
    return MediaReader(project.client, fetcher=Fetcher(AddressRules(local=True)))


def read_all(project: Any) -> list[bytes | str]:
    media = reader(project)
    return [media.shown(Task(row["id"], row["data"]), project.question) for row in tasks_of(project)]


@pytest.mark.parametrize("presign", [True, False])
def test_texts_in_a_bucket(run, make_project, bucket, tmp_path, presign):
    for key, text in {"a.txt": "erster Text: Grüße", "ä b/c.txt": "second"}.items():
        bucket.client.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    project = make_project(config=TEXT)
    bucket.connect(project, presign=presign)
    path = write(tmp_path / "a.csv", f"text,label\ns3://{BUCKET}/a.txt,A\nS3://{BUCKET}/ä b/c.txt,B\n")
    run(import_tasks, path, "--project", project.id)
    assert read_all(project) == ["erster Text: Grüße", "second"]


@pytest.mark.parametrize("presign", [True, False])
def test_pictures_in_a_bucket(make_project, bucket, presign):
    picture = saved(quarters())
    bucket.client.put_object(Bucket=BUCKET, Key="a.png", Body=picture, ContentType="image/png")
    project = make_project(config=IMAGE, tasks=[{"image": f"s3://{BUCKET}/a.png"}])
    bucket.connect(project, presign=presign)
    assert read_all(project) == [picture]


def test_each_read_asks_for_a_new_address_for_the_old_one_expires(make_project, bucket):
    bucket.client.put_object(Bucket=BUCKET, Key="once.txt", Body=b"before")
    project = make_project(config=TEXT, tasks=[{"text": f"s3://{BUCKET}/once.txt"}])
    bucket.connect(project, presign=True)
    assert read_all(project) == ["before"]
    bucket.client.put_object(Bucket=BUCKET, Key="once.txt", Body=b"after")
    assert read_all(project) == ["after"]


def test_what_is_not_in_the_bucket_and_what_no_storage_serves_is_left_out(make_project, bucket):
    project = make_project(config=TEXT, tasks=[{"text": f"s3://{BUCKET}/no.txt"}, {"text": "gs://elsewhere/a.txt"}])
    bucket.connect(project, presign=True)
    for row in tasks_of(project):
        with pytest.raises(BadItemError) as error:
            reader(project).shown(Task(row["id"], row["data"]), project.question)
        assert SECRET not in str(error.value)
