"""Which of Label Studio's paths a token may travel to."""

import time

import pytest

from ml_backend.errors import BadItemError
from ml_backend.label_studio.error_pages import MOST_READ, page_text
from ml_backend.label_studio.file_paths import file_path, is_own
from ml_backend.label_studio.media import LONGEST_DATA_URI, decode_data_uri
from ml_backend.label_studio.url_kinds import is_readable

STUDIO = "http://studio:8080"
FILES = [
    "/data/upload/1/a.png",
    "/data/upload/3/ab%20c-%C3%A4.png",
    "/data/upload/1/a..b.png",
    "/data/local-files/?d=digits/7.png",
    "/storage-data/uploaded/?filepath=upload/1/x.png",
    "/tasks/7/resolve/?fileuri=czM6Ly9i",
    "/tasks/7/presign/?fileuri=czM6Ly9i",
    "/projects/7/resolve/?fileuri=czM6Ly9i",
]
OTHERS = [
    "/api/current-user/token",
    "/api/projects/1/file-proxy/?url=aHR0cDovLzEyNy4wLjAuMQ==",
    "/data/upload/",
    "/data/upload/../../api/current-user/token",
    "/data/upload/%2e%2e/%2e%2e/api/current-user/token",
    "/data/upload/..%2f..%2fapi/current-user/token",
    "/data/upload/%252e%252e/%252e%252e/api/current-user/token",
    "/data/upload/..\\..\\api/current-user/token",
    "/data/upload/..%5c..%5capi/current-user/token",
    "/data/upload//../api/current-user/token",
    "/data/upload/./x.png",
    "/data/upload/x%00.png",
    "/data/upload/%25252525252e/x",
    "/DATA/upload/1/a.png",
    "/%64ata/upload/1/a.png",
    "/x/data/upload/1/a.png",
    "/tasks/7/annotations/",
    "/tasks/7/resolve/../../../api/current-user/token",
    "/tasks/x/resolve/",
    "/data/avatars/1.png",
    "/",
]


@pytest.mark.parametrize("path", FILES)
def test_files_of_tasks(path):
    assert file_path(path, STUDIO) == file_path(STUDIO + path, STUDIO) == path
    assert file_path(f"/label{path}", f"{STUDIO}/label") == path  # Label Studio below a path


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("http://localhost:8080/data/upload/1/a.png", ("http://127.0.0.1:8080",)),
        ("http://[::1]:8080/data/upload/1/a.png", ("http://localhost:8080",)),
        ("https://labels.example/data/upload/1/a.png", (STUDIO, "https://labels.example:443")),
        ("https://labels.example/ls/data/upload/1/a.png", (STUDIO, "https://labels.example/ls")),
        ("/ls/data/upload/1/a.png", (STUDIO, "https://labels.example/ls")),
    ],
)
def test_other_names_of_the_same_label_studio(url, names):
    assert file_path(url, *names) == "/data/upload/1/a.png"
    assert is_own(url, *names)


def test_a_neighbour_below_another_path_is_somebody_else():
    assert not is_own("http://studio:8080/data/upload/1/a.png", f"{STUDIO}/ls")
    assert not is_own("http://studio:8080/lsx/data/upload/1/a.png", f"{STUDIO}/ls")


@pytest.mark.parametrize("url", ["/data/upload/1/a.png", "/ls/data/upload/1/a.png", "/a/b/tasks/7/resolve/?fileuri=x"])
def test_files_of_a_label_studio_whose_path_is_not_known_can_be_imported(url):
    assert is_readable(url)
    assert not is_readable(url.replace("upload", "avatars").replace("resolve", "annotations"))


@pytest.mark.parametrize("path", OTHERS)
def test_all_other_paths(path):
    assert file_path(path, STUDIO) is None
    assert file_path(STUDIO + path, STUDIO) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://studio:8081{}",
        "https://studio:8080{}",
        "http://studio:8080@evil{}",
        "http://evil/{}",
        "//evil{}",
        "s3:/{}",
    ],
)
def test_other_hosts(url):
    assert not is_own(url.format(FILES[0]), STUDIO)
    assert file_path(url.format(FILES[0]), STUDIO) is None


def test_the_text_of_an_error_page():
    page = "<html><head><title>no</title></head><STYLE>p {}</Style><body><h1>It &gt; broke</h1>\n<p class='x'>badly</p>"
    assert page_text(page) == "It &gt; broke badly"
    assert page_text("plain words") == "plain words"


def test_the_longest_data_uri():
    head = "data:,"
    assert len(decode_data_uri(head + "x" * (LONGEST_DATA_URI - len(head)))) == LONGEST_DATA_URI - len(head)
    with pytest.raises(BadItemError, match="use URLs"):
        decode_data_uri(head + "x" * (LONGEST_DATA_URI - len(head) + 1))


@pytest.mark.parametrize(
    "piece", ["<style>", "<", "<!--", "<a ", "</", "<a b='", ">", "x", "<style></style", "<script>\n"]
)
def test_no_page_takes_long_to_read(piece):
    page = (piece * MOST_READ)[: 4 * MOST_READ]
    before = time.process_time()
    assert len(page_text(page)) <= 200
    assert time.process_time() - before < 2  # 14 s for a tenth of this, by a regular expression
