"""A bucket in an S3 of our own (moto's server), connected to a Label Studio, and what we read from it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from processes import ServerProcess, free_port
from support.scripts import tasks_of

from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.label_studio.media import MediaReader
from ml_backend.records import Task

BUCKET, KEY, SECRET = "texts-and-pictures", "AKIAEXAMPLE", "a-secret-of-the-bucket"
TEXT = """<View><Text name="t" value="$text" valueType="url"/><Choices name="c" toName="t"><Choice value="A"/>
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
