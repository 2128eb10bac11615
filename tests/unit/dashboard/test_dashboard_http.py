"""The dashboard over HTTP: what it lets in, and hostile input."""

import io
import json
import shutil
from zipfile import ZipFile

import pytest
from bench.dashboard_store import fill_cache, make_store
from support.dashboards import PATHS, words
from support.served import UID, publish

from ml_backend.config import Settings
from ml_backend.dashboard.routing import render
from ml_backend.dashboard.services import Services
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.server import create_app
from ml_backend.store.project_store import QUESTION, Current, ProjectStore

CALL = {
    "output": "train-answer.children",
    "outputs": {"id": "train-answer", "property": "children"},
    "inputs": [],
    "changedPropIds": [],
    "state": [],
}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "null"}, 403),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_a_foreign_page_starts_nothing(web, headers, status):
    answer = web.post("/dashboard/_dash-update-component", data=json.dumps(CALL), headers=headers)
    assert answer.status_code == status


def test_our_own_page_is_let_in(web):
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert web.post("/dashboard/_dash-update-component", json=CALL, headers=headers).status_code not in (403, 415)
    assert web.get("/dashboard/1/overview", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_pages_bind_the_browser_and_fetch_nothing_from_elsewhere(web):
    answer = web.get("/dashboard/1/overview")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self' 'sha256-" in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "//cdn" not in answer.text
    assert "https://" not in answer.text.replace("https:\\u002f", "")
    assert "script-src" not in web.get("/health").headers["Content-Security-Policy"], "data runs nothing at all"


def test_images_of_tasks_with_an_etag(web):
    answer = web.get("/dashboard/2/media/1")
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = web.get("/dashboard/2/media/1", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    for path in ("/dashboard/2/media/99999", "/dashboard/1/media/1"):
        missing = web.get(path)
        assert (missing.status_code, missing.mimetype) == (200, "image/svg+xml")
        assert missing.headers["Cache-Control"] == "no-store"
    assert web.get("/dashboard/99/media/1").status_code == 404


def test_a_file_that_only_calls_itself_an_image_is_not_served(tmp_path):
    store = ProjectStore(tmp_path, "1.1")
    store.write_document(QUESTION, {"title": "x", "field": "image", "object_tag": "Image", "labels": ["a", "b"]})
    scripts = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    fill_cache(store, {1: {"image": scripts}, 2: {"image": "data:text/html,<script>alert(1)</script>"}, 3: {}}, {})
    web = create_app(Settings(model_dir=tmp_path)).test_client()
    for task in (1, 2, 3):
        assert b"script" not in web.get(f"/dashboard/1/media/{task}").data


def test_a_version_to_take_away(tmp_path):
    settings = Settings(model_dir=tmp_path)
    publish(settings, UID, {1: 0.5})
    web = create_app(settings).test_client()
    answer = web.get("/dashboard/7/versions/headlines-0001-0123abcd.zip")
    assert answer.status_code == 200
    names = ZipFile(io.BytesIO(answer.data)).namelist()
    assert [name.split("/")[1] for name in names] == ["example.py", "model.json", "weights.safetensors"]
    answer.close()
    for wrong in ("gone", ".tmp-x", "%2e%2e"):
        assert web.get(f"/dashboard/7/versions/{wrong}.zip").status_code == 404
    assert web.get("/dashboard/7/versions/..%2f..%2fetc.zip").mimetype == "text/html"  # a page, which says so


def test_unknown_data_is_json_too(web):
    assert "overview" in web.get("/dashboard/api/projects/1/nonsense").json["error"]
    missing = web.get("/dashboard/api/projects/99/overview")
    assert (missing.status_code, "Nothing is known" in missing.json["error"]) == (404, True)


def test_the_pool_may_be_large(tmp_path):
    """50,000 tasks: pages read only those that they show."""
    store = make_store(tmp_path, 1, versions=1, evaluated=40, open_tasks=50_000)
    services = Services(Settings(model_dir=tmp_path), LocalRoundQueue(lambda *_: {}))
    for path in PATHS:
        assert "cannot be shown" not in words(render(services, f"/dashboard/1/{path}", "")[1])
    assert store.current() == Current("headlines-0001-00000001", "headlines-0001-00000001.entropy-0001")
    shutil.rmtree(tmp_path)
