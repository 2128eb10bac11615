"""Files in a bucket, through Label Studio's resolver and with its credentials, which we never see."""

from __future__ import annotations

import pytest
from support.bucket import BUCKET, SECRET, TEXT, bucket, read_all, reader
from support.pictures import quarters, saved
from support.scripts import run, tasks_of, write

from ml_backend.cli import import_tasks
from ml_backend.errors import BadItemError
from ml_backend.records import Task

__all__ = ["bucket", "run"]
IMAGE = """<View><Image name="t" value="$image"/><Choices name="c" toName="t"><Choice value="A"/>
<Choice value="B"/></Choices></View>"""


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
