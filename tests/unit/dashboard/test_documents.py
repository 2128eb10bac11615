"""The documentation as the server carries it."""

import re
from html.parser import HTMLParser

import pytest
from bench.dashboard_store import make_store
from support.places import REPOSITORY

from ml_backend.config import Settings
from ml_backend.dashboard import documents
from ml_backend.dashboard.documents import EXPLAINED, FOLDER, names, rendered
from ml_backend.server import create_app


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    make_store(root, 1, versions=1)
    return create_app(Settings(model_dir=root)).test_client()


class Links(HTMLParser):
    """Addresses and anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.anchors, self.tags = [], set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        found = dict(attrs)
        self.anchors.update([found["id"]] if "id" in found else [])
        self.addresses += [found["href"]] if tag == "a" else []


def test_every_document_of_the_repository_is_carried_along():
    written = {path.relative_to(REPOSITORY / "docs") for path in (REPOSITORY / "docs").rglob("*.md")}
    carried = {path.relative_to(FOLDER) for path in FOLDER.rglob("*.md")}
    assert carried == written, "link it: ln -s ../../../../docs/howto/NAME.md ml_backend/dashboard/docs/howto/NAME.md"
    for path in written:
        assert (FOLDER / path).read_bytes() == (REPOSITORY / "docs" / path).read_bytes()


@pytest.mark.parametrize("topic", EXPLAINED)
def test_each_question_mark_leads_to_a_heading(topic):
    name, _, anchor = EXPLAINED[topic].partition("#")
    assert name in names()
    assert not anchor or anchor in Links(rendered(name)).anchors


def test_each_topic_stands_on_some_page():
    pages = "".join(path.read_text(encoding="utf-8") for path in FOLDER.parent.rglob("*.py"))
    assert [topic for topic in EXPLAINED if pages.count(f'"{topic}"') < 2] == []


@pytest.mark.parametrize("name", names())
def test_links_of_a_document_lead_somewhere_on_this_server(client, name):
    answer = client.get(f"/dashboard/docs/{name}")
    assert answer.status_code == 200
    page = Links(answer.text)
    assert "script" not in page.tags
    for address in page.addresses:
        path, _, anchor = address.partition("#")
        if address.startswith("http") or path in ("/dashboard/", ""):
            continue
        assert path.startswith("/dashboard/docs/"), address
        if path != "/dashboard/docs/":
            other = path.removeprefix("/dashboard/docs/")
            assert other in names()
            assert not anchor or anchor in Links(rendered(other)).anchors, address


def test_the_list_names_every_document(client):
    found = Links(client.get("/dashboard/docs/").text).addresses
    assert {f"/dashboard/docs/{name}" for name in names()} <= set(found)


@pytest.mark.parametrize("name", ["none", "../address.py", "%2e%2e/address.py", "explanation", "<script>"])
def test_no_other_file_is_given(client, name):
    answer = client.get(f"/dashboard/docs/{name}")
    assert answer.status_code == 404
    assert "PREFIX" not in answer.text


def test_html_in_a_document_is_text(tmp_path):
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark", {"html": False}).parse("<script>alert(1)</script>\n\n# A `b` <i>\n")
    adapted = documents._adapted(tokens, "x", set())
    drawn = MarkdownIt("commonmark", {"html": False}).renderer.render(adapted, {}, {})
    assert not re.search("<script|<i>", drawn)
    assert 'id="a-b-i"' in drawn
