"""Where a task's content comes from, what happens when it does not come, and who is never shown the token."""

import base64
import contextlib
import threading

import numpy as np
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import until

from ml_backend.errors import BadItemError
from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.fetcher import Fetcher, FetchLimits
from ml_backend.importing.image_files import png_data_uri
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.media import MediaReader, decode_data_uri, text_of
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.records import Task

SECRET = "0123456789abcdef0123456789abcdef01234567"
CONTENT = b"\x89PNG not really"


def read(value, reader=None, tag="Image", field="image"):
    return (reader or MediaReader(fetcher=opened())).read(Task(1, {"image": value}), field=field, object_tag=tag)


def opened(**limits):
    """A fetcher that reaches this machine."""
    return Fetcher(AddressRules(local=True), FetchLimits(**limits), sleep=lambda seconds: None)


@pytest.fixture
def client_of():
    clients = []

    def make(url):
        clients.append(LabelStudioClient(url, SECRET, timeout=10))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def ok(call):
    return 200, "image/png", CONTENT


# --- texts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"), [(" Flood ", "Flood"), (1984, "1984"), (2.5, "2.5"), (0, "0"), ("洪水", "洪水")]
)
def test_texts_and_numbers(value, text):
    assert text_of(value, "text") == text
    assert read(value, tag="Text") == text


@pytest.mark.parametrize("value", ["", "  \n\t"])
def test_an_empty_text(value):
    with pytest.raises(BadItemError, match='field "text" is empty'):
        text_of(value, "text")


@pytest.mark.parametrize("value", [None, True, ["a"], {"a": 1}])
def test_no_text(value):
    with pytest.raises(BadItemError, match='field "text" holds no text'):
        text_of(value, "text")


@pytest.mark.parametrize("tag", ["Text", "Image"])
def test_a_missing_field_lists_those_that_are_there(tag):
    with pytest.raises(BadItemError, match=r'no field "photo" .*fields: image'):
        read("x", tag=tag, field="photo")
    with pytest.raises(BadItemError, match="fields: none"):
        MediaReader().read(Task(1, {}), field="photo", object_tag=tag)


# --- data URIs ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=50))
def test_base64_data_uris(content):
    assert read("data:image/png;base64," + base64.b64encode(content).decode()) == content


@pytest.mark.parametrize("digits", ["iVBO+Q", "iVBO+Q=", "iVBO\n+Q==", " iVBO+Q%3D= "])
def test_base64_as_browsers_read_it(digits):
    assert decode_data_uri(f"data:image/png;base64,{digits}") == base64.b64decode("iVBO+Q==")


def test_percent_encoded_data_uris():
    assert decode_data_uri("data:,A%20brief%20note") == b"A brief note"
    assert decode_data_uri("data:image/png;base64,iVBO%2BQ%3D%3D") == base64.b64decode("iVBO+Q==")


@pytest.mark.parametrize(
    "uri", ["data:image/png;base64", "data:;base64,abcde", "data:;base64,ab$=", "data:;base64,äöü="]
)
def test_a_malformed_data_uri(uri):
    with pytest.raises(BadItemError, match="malformed data URI"):
        read(uri)


# --- http --------------------------------------------------------------------------------------------------------


def test_an_image_from_the_web(local_server):
    server = local_server(ok)
    assert read(f"  {server.url}/digit.png?size=28 ") == CONTENT
    assert [call.path for call in server.calls] == ["/digit.png?size=28"]


def test_a_redirect_is_followed(local_server):
    target = local_server(ok)
    assert read(redirector(local_server, target.url + "/there")) == CONTENT
    assert [call.path for call in target.calls] == ["/there"]


def redirector(local_server, location):
    """A URL that redirects to ``location``; the header rides in behind the content type."""
    return local_server(lambda call: (302, f"text/plain\r\nLocation: {location}", b"")).url + "/here"


def test_an_error_answer_is_not_an_image(local_server):
    with pytest.raises(BadItemError, match=r"cannot fetch http://127.0.0.1:\d+/gone.png: its server answered 404"):
        read(local_server(lambda call: (404, "text/html", b"<h1>gone</h1>")).url + "/gone.png")


def test_a_slow_server_is_given_up_and_not_asked_again(local_server):
    gone = threading.Event()

    def slow(call):
        gone.wait(600)
        return 200, "image/png", CONTENT

    server = local_server(slow)
    reader = MediaReader(fetcher=opened(seconds=0.3))
    with pytest.raises(BadItemError, match=r"slow.png: not there after 0.3 s"):
        read(f"{server.url}/slow.png", reader)
    with pytest.raises(BadItemError, match=r"is not fetched now: .*asked again in 10 min"):
        read(f"{server.url}/slow.png", reader)
    until(lambda: server.calls, "its thread's turn")
    gone.set()
    assert len(server.calls) == 1


def test_nobody_answers():
    with pytest.raises(BadItemError, match=r"cannot fetch http://127.0.0.1:1/x.png: no connection"):
        read("http://127.0.0.1:1/x.png")


@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
def test_the_largest_content(local_server, size, fits):
    reader = MediaReader(fetcher=opened(most_bytes=1000))
    url = local_server(lambda call: (200, "image/png", b"x" * size)).url
    if fits:
        assert len(read(url, reader)) == size
    else:
        with pytest.raises(BadItemError, match="larger than"):
            read(url, reader)


@pytest.mark.parametrize(
    "value", ["http://[broken", "http://", "https://exa mple/x", "http://a..b/x", "http://x:99999/"]
)
def test_a_url_that_is_none(value):
    for reader in (MediaReader(), MediaReader(LabelStudioClient("http://127.0.0.1:1", SECRET))):
        with pytest.raises(BadItemError):
            read(value, reader)
        if reader.client:
            reader.client.close()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ftp://bucket/x.png", "ftp"),
        ("file:///etc/passwd", "file"),
        ("//other.org/x.png", "relative path"),
    ],
)
def test_a_url_of_an_unknown_kind(value, kind):
    with pytest.raises(BadItemError, match=f"cannot read a {kind} URL; use http"):
        read(value)


@pytest.mark.parametrize("value", ["", " ", None, 7, ["http://x"]])
def test_no_image_url(value):
    with pytest.raises(BadItemError, match='field "image" holds no image URL'):
        read(value)


def test_a_file_of_label_studio_needs_label_studio():
    with pytest.raises(BadItemError, match="LABEL_STUDIO_API_KEY"):
        read("/data/upload/1/x.png")


def test_a_long_bad_value_is_cut_in_the_message():
    with pytest.raises(BadItemError) as error:
        read("x" * 10_000)
    assert len(str(error.value)) < 250


# --- the token ---------------------------------------------------------------------------------------------------


def test_label_studio_gets_the_token_and_nobody_else_does(local_server, client_of):
    studio, stranger = local_server(ok), local_server(ok)
    reader = MediaReader(client_of(studio.url), fetcher=opened())
    for value in ("/data/upload/1/x.png", f"{studio.url}/data/upload/1/y.png?z=1"):
        assert read(value, reader) == CONTENT
    assert [(call.path, call.headers.get("Authorization")) for call in studio.calls] == [
        ("/data/upload/1/x.png", f"Token {SECRET}"),
        ("/data/upload/1/y.png?z=1", f"Token {SECRET}"),
    ]
    port = stranger.url.rpartition(":")[2]
    for value in (
        stranger.url + "/x.png",
        f"http://127.0.0.1:{port}/data/upload/1/x.png",
        f"{studio.url}@127.0.0.1:{port}/x.png",
    ):
        assert read(value, reader) == CONTENT
    assert len(stranger.calls) == 3
    assert_no_token(stranger)


@pytest.mark.parametrize(
    "path", ["//{host}/x.png", "/\\{host}/x.png", "{studio}//{host}/x.png", "{studio}@{host}/x.png"]
)
def test_no_spelling_of_a_path_leads_the_token_away(local_server, client_of, path):
    studio, stranger = local_server(ok), local_server(ok)
    value = path.format(host=stranger.url.removeprefix("http://"), studio=studio.url)
    with contextlib.suppress(BadItemError):
        read(value, MediaReader(client_of(studio.url), fetcher=opened()))
    assert_no_token(stranger)


def test_a_redirect_away_from_label_studio_leaves_the_token_behind(local_server, client_of):
    stranger = local_server(ok)
    studio = redirector(local_server, stranger.url + "/bucket/x.png")
    reader = MediaReader(client_of(studio.removesuffix("/here")), fetcher=opened())
    assert read("/data/upload/1/x.png", reader) == CONTENT
    assert len(stranger.calls) == 1
    assert_no_token(stranger)


def assert_no_token(server):
    for call in server.calls:
        assert SECRET not in call.path + str(call.headers) + call.body.decode("latin-1")


def test_what_was_fetched_once_is_remembered_and_data_uris_are_not(local_server):
    server, kept = local_server(ok), {}
    reader = MediaReader(None, kept.get, kept.__setitem__, opened())
    url = f"{server.url}/x.png"
    assert [read(url, reader) for _ in range(3)] == [CONTENT] * 3
    assert len(server.calls) == 1
    assert read("data:,x", reader) == b"x"
    assert kept == {url: CONTENT}


# --- a real Label Studio -----------------------------------------------------------------------------------------


def png(value):
    image = np.full((28, 28), value, dtype=np.uint8)
    return image, decode_data_uri(png_data_uri(image))


def test_an_uploaded_image(label_studio, make_project):
    project = make_project("mnist")
    image, content = png(77)
    headers = {"Authorization": f"Token {label_studio.token}"}
    requests.post(
        f"{label_studio.url}/api/projects/{project.id}/import",
        headers=headers,
        files={"digit.png": ("digit.png", content, "image/png")},
        timeout=60,
    ).raise_for_status()
    ((row,),) = project.client.all_tasks(project.id)
    (value,) = row["data"].values()
    assert value.startswith("/data/upload/")
    reader = MediaReader(project.client)
    assert read(value, reader) == read(label_studio.url + value, reader) == content
    assert (MnistCnn.read_item(content) == image).all()
    with pytest.raises(BadItemError, match="File /data/upload/"):
        read(value + ".gone", reader)


def test_a_file_that_label_studio_may_not_serve_is_left_out_with_a_reason(make_project):
    project = make_project("mnist")
    with pytest.raises(BadItemError, match=r"File /data/local-files/"):
        read("/data/local-files/?d=nothing/here.png", MediaReader(project.client))


def test_an_image_in_a_local_files_storage(label_studio, make_project):
    project = make_project("mnist")
    folder = label_studio.local_files / "digits"
    folder.mkdir(exist_ok=True)
    (folder / "seven.png").write_bytes(CONTENT)
    storage = {"project": project.id, "title": "digits", "path": str(folder), "use_blob_urls": True}
    project.client.request("POST", "api/storages/localfiles", body=storage)
    assert read("/data/local-files/?d=digits/seven.png", MediaReader(project.client)) == CONTENT
    assert read(f"{label_studio.url}/data/local-files/?d=digits/seven.png", MediaReader(project.client)) == CONTENT
