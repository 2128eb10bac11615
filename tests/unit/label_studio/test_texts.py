"""Texts that are not in the task as they stand: by URL, in base64, in a storage that Label Studio reads."""

import base64

import pytest

from ml_backend.errors import BadItemError
from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.label_studio.url_kinds import is_readable, storage_path
from ml_backend.records import Task

BY_URL = ChoiceQuestion("c", "t", "Text", "text", ("a", "b"), by_url=True)


def encoded(encoding, **more):
    return ChoiceQuestion("c", "t", "Text", "text", ("a", "b"), encoding=encoding, **more)


def local():
    return Fetcher(AddressRules(local=True), sleep=lambda seconds: None)


def test_a_text_by_url_is_the_file_that_the_page_shows(local_server, tmp_path):
    server = local_server(lambda call: (200, "text/plain", "\ufeff Grüße \n".encode()))
    cache = TaskCache(tmp_path / "tasks.sqlite")
    media = MediaReader(cached=cache.cached_text, fetched=cache.keep_text, fetcher=local())
    task = Task(1, {"text": f" {server.url}/a.txt"})
    assert not media.known_text(task, BY_URL)
    assert media.shown(task, BY_URL) == "Grüße"
    assert media.known_text(task, BY_URL)
    assert media.shown(task, BY_URL) == "Grüße"
    assert len(server.calls) == 1, "it is kept"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("only words", "cannot read a relative path URL"),
        ("", "holds no URL"),
        (7, "holds no URL"),
        (None, "holds no URL"),
    ],
)
def test_what_is_no_url_is_not_learnt_as_a_text(value, message):
    with pytest.raises(BadItemError, match=message):
        MediaReader(fetcher=local()).shown(Task(1, {"text": value}), BY_URL)


@pytest.mark.parametrize("encoding", ["base64", "base64unicode"])
@pytest.mark.parametrize("text", ["plain words", "Grüße", "два слова"])
def test_an_encoded_text_is_decoded(encoding, text):
    value = base64.b64encode(text.encode()).decode()
    assert MediaReader().shown(Task(1, {"text": value}), encoded(encoding)) == text


def test_base64_of_one_byte_letters():
    value = base64.b64encode("Grüße".encode("latin-1")).decode()
    assert MediaReader().shown(Task(1, {"text": value}), encoded("base64")) == "Grüße"


@pytest.mark.parametrize("value", ["not base64!", "YWJj=x", "====", "ÄÖ"])
def test_a_text_that_is_not_encoded_is_left_out_and_told(value):
    with pytest.raises(BadItemError, match=r'field "text" is not in base64|is empty'):
        MediaReader().shown(Task(1, {"text": value}), encoded("base64"))


def test_an_encoded_text_by_url(local_server):
    server = local_server(lambda call: (200, "text/plain", base64.b64encode(b"inside")))
    task = Task(1, {"text": f"{server.url}/a"})
    assert MediaReader(fetcher=local()).shown(task, encoded("base64", by_url=True)) == "inside"


@pytest.mark.parametrize("scheme", ["s3", "S3", "gs", "Azure-Blob"])
def test_files_of_storages_are_asked_of_label_studio_with_its_credentials(local_server, scheme):
    elsewhere = local_server(lambda call: (200, "text/plain", b"from the bucket"))
    server = local_server(lambda call: (200, "text/plain", b"through Label Studio"))
    client = LabelStudioClient(server.url, "token", timeout=10)
    question = ChoiceQuestion("c", "t", "Text", "meta.text", ("a", "b"), by_url=True)
    task = Task(7, {"meta": {"text": f"{scheme}://bucket/Ä 1.txt"}})
    assert MediaReader(client, fetcher=local()).shown(task, question) == "through Label Studio"
    uri = base64.urlsafe_b64encode(f"{scheme.lower()}://bucket/Ä 1.txt".encode()).decode()
    assert [call.path for call in server.calls] == [f"/tasks/7/resolve/?fileuri={uri}"]
    client.close()
    assert elsewhere.calls == []


def test_without_label_studio_a_storage_is_not_read():
    with pytest.raises(BadItemError, match="set LABEL_STUDIO_URL"):
        MediaReader().shown(Task(7, {"text": "s3://bucket/a"}), BY_URL)


READABLE = [
    "http://a/b.png", "HTTPS://Example.org/x.png", "s3://bucket/1.png", "S3://bucket/1.png", "gs://b/2", "GS://b/2",
    "azure-blob://c/3.png", "/data/upload/1/a.png", "/data/local-files/?d=a.png", "data:image/png;base64,AA==",
    "/tasks/5/resolve/?fileuri=czM6", "/projects/5/resolve/?fileuri=czM6", " http://a/b ",
]  # fmt: skip
UNREADABLE = ["", "word", "a.png", "../secret.png", "/etc/passwd", "/api/users", "ftp://a/b", "http:/a", "s3:", "s3://"]


@pytest.mark.parametrize("url", READABLE)
def test_kinds_of_url_that_are_read(url):
    assert is_readable(url)


@pytest.mark.parametrize("url", [*UNREADABLE, "//host/a.png", "http://", "file:///etc/passwd", "/data/upload/../../x"])
def test_kinds_of_url_that_are_not(url):
    assert not is_readable(url)


def test_only_storages_are_resolved():
    assert storage_path("https://s3.example.org/a", 1) is None
    assert storage_path("/data/upload/a", 1) is None
