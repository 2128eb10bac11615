"""The dashboard hangs on the server: made late and once, without its packages a sentence, errors as everywhere."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask

from ml_backend.config import Settings
from ml_backend.dashboard.app import Late
from ml_backend.errors import ConfigurationError
from ml_backend.server import create_app

IN_ANOTHER_PROCESS = """
import sys
{before}
from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.server import create_app
client = create_app(Settings(model_dir={folder!r})).test_client()
print("dash" in sys.modules, "plotly" in sys.modules)
answer = client.get("/dashboard/")
print(answer.status_code, "dash" in sys.modules)
print(answer.get_data(as_text=True).strip())
print(client.get("/health").status_code)
"""


def told(folder, before=""):
    """What a fresh process says of its server."""
    code = IN_ANOTHER_PROCESS.format(before=before, folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_nothing_of_it_is_imported_before_somebody_looks(tmp_path):
    lines = told(tmp_path)
    assert lines[:2] == ["False False", "200 True"]
    assert lines[-1] == "200"


@pytest.mark.parametrize("package", ["dash", "plotly"])
def test_without_its_packages_it_names_the_extra(tmp_path, package):
    lines = told(tmp_path, f"sys.modules[{package!r}] = None")
    assert lines[1].startswith("501 ")
    assert f'{package}, which is not installed: pip install "label-studio-active-learning[dashboard]"' in lines[2]
    assert lines[-1] == "200", "all else goes on"


def test_many_first_visitors_get_one_application():
    made, start = [], Barrier(8)

    def make(root):
        made.append(Flask("made"))
        return made[-1]

    late = Late(make)

    def visit(_):
        start.wait()
        return late.get()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(visit, range(8)))
    assert len(made) == 1
    assert set(map(id, found)) == {id(made[0])}


def test_a_failed_start_is_tried_again():
    answers = iter([ConfigurationError("no dash"), Flask("made")])

    def make(root):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    late = Late(make)
    with pytest.raises(ConfigurationError):
        late.get()
    assert late.get().name == "made"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/dashboard/api/projects/9/overview", 404),
        ("GET", "/dashboard/api/projects/9/nonsense", 404),
        ("GET", "/dashboard/9/media/1", 404),
        ("PUT", "/dashboard/", 415),
        ("DELETE", "/dashboard/api/projects", 415),
        ("POST", "/dashboard/_dash-update-component", 415),
    ],
)
def test_errors_are_the_servers_json_with_the_headers_that_bind_browsers(tmp_path, method, path, status):
    answer = create_app(Settings(model_dir=tmp_path)).test_client().open(path, method=method)
    assert (answer.status_code, list(answer.json)) == (status, ["error"])
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_wrong_method_of_our_own_page_is_refused(tmp_path):
    client = create_app(Settings(model_dir=tmp_path)).test_client()
    answer = client.delete("/dashboard/api/projects", json={})
    assert (answer.status_code, list(answer.json)) == (405, ["error"])


def test_only_pages_may_run_their_own_inline_scripts(tmp_path):
    client = create_app(Settings(model_dir=tmp_path)).test_client()
    page, error = client.get("/dashboard/"), client.get("/dashboard/9/media/1")
    assert "'sha256-" in page.headers["Content-Security-Policy"]
    assert "'sha256-" not in error.headers["Content-Security-Policy"]
    assert client.get("/dashboard").status_code == 308
