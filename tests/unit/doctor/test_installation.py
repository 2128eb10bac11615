"""The doctor names what an installation leaves open, each with what closes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml_backend.config import Settings
from ml_backend.doctor import installation
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Context

PASSWORD = {"basic_auth_user": "studio", "basic_auth_pass": "right"}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def context(url: str = "http://127.0.0.1:9090", **settings: Any) -> Context:
    return Context(Settings(**settings), 7, url)


@pytest.mark.parametrize(
    ("check", "url", "settings", "status"),
    [
        (installation.port, "", {}, "ok"),
        (installation.port, "", {"host": "0.0.0.0"}, "error"),
        (installation.port, "", {"host": "10.0.0.1", "insecure": True}, "warning"),
        (installation.port, "", {"host": "10.0.0.1", "insecure": True} | PASSWORD, "ok"),
        (installation.port, "", {"host": "::"} | PASSWORD, "ok"),
        (installation.names, "", {}, "ok"),
        (installation.names, "", {"allowed_hosts": "al.example.org"}, "ok"),
        (installation.names, "", {"allowed_hosts": "al.example.org, *"}, "warning"),
        (installation.redis_password, "", {}, "ok"),
        (installation.redis_password, "", {"redis_url": "redis://127.0.0.1:6379/0"}, "ok"),
        (installation.redis_password, "", {"redis_url": "unix:///run/redis.sock"}, "ok"),
        (installation.redis_password, "", {"redis_url": "redis://:secret@redis:6379/0"}, "ok"),
        (installation.redis_password, "", {"redis_url": "redis://redis:6379/0"}, "warning"),
        (installation.images, "", {}, "ok"),
        (installation.images, "", {"media_allow": "pictures.corp, 10.3.0.0/16, fd00::/32"}, "ok"),
        (installation.images, "", {"media_allow": "0.0.0.0/0"}, "warning"),
        (installation.images, "", {"media_allow": "pictures.corp, ::/0"}, "warning"),
        (installation.own_server, "http://127.0.0.1:9090", {}, "ok"),
        (installation.own_server, "http://host.docker.internal:9090", {}, "ok"),
        (installation.own_server, "http://ml-backend:9090", {"host": "0.0.0.0"}, "ok"),
        (installation.own_server, "https://al.example.org", {"trusted_proxy": "127.0.0.1"}, "ok"),
        (installation.own_server, "http://ml-backend:9090", {}, "warning"),
    ],
)
def test_what_is_open_is_told_with_its_remedy(check: Any, url: str, settings: dict[str, Any], status: str) -> None:
    found = check(context(url, **settings))
    assert found.status == status, found
    assert bool(found.remedy) == (status != "ok")
    assert "secret" not in found.message + found.remedy


def test_files_that_others_can_read_are_told_and_closed(tmp_path: Path) -> None:
    root = tmp_path / "versions"
    assert installation.files(context(model_dir=root)).status == "ok"
    (root / "project-7.1").mkdir(parents=True)
    (root / "project-7.1" / "tasks.sqlite").write_text("x")
    (root / "project-7.1" / "tasks.sqlite").chmod(0o644)
    (root / "project-7.1").chmod(0o700)
    root.chmod(0o755)
    found = installation.files(context(model_dir=root))
    assert (found.status, found.fixable) == ("warning", True)
    assert "2 files and folders" in found.message
    (check,) = (check for check in CHECKS if check.name == found.name)
    assert check.fix is not None
    assert check.fix(context(model_dir=root)) == "Closed."
    assert installation.files(context(model_dir=root)).status == "ok"


def test_files_are_looked_at_before_any_check_opens_the_store() -> None:
    """Opening it closes them."""
    names = [check.name for check in CHECKS]
    assert names.index("Installation: files") < min(names.index("Store"), names.index("Shared store"))
