"""The doctor asks a backend for its password without a word in that one's log but about wrong ones."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.logs import said
from support.serving import Backend

from ml_backend.config import Settings
from ml_backend.doctor.connection import backend_auth

RIGHT, WRONG = ("studio", "right"), ("studio", "wrong")


@pytest.mark.parametrize(
    ("asks", "given", "status", "message"),
    [
        (False, None, "ok", "The backend asks for none."),
        (False, RIGHT, "warning", "The backend accepts any password."),
        (True, None, "error", "The backend asks for one, but none is set here."),
        (True, RIGHT, "ok", "The backend accepts the one set here and refuses others."),
        (True, WRONG, "error", "The backend refuses the user and password set here."),
    ],
)
def test_the_password(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    asks: bool,
    given: tuple[str, str] | None,
    status: str,
    message: str,
) -> None:
    login = {"basic_auth_user": RIGHT[0], "basic_auth_pass": RIGHT[1]} if asks else {}
    backend = Backend(Settings(model_dir=tmp_path, **login))
    try:
        context = SimpleNamespace(backend_url=backend.url, basic_auth=given, settings=backend.settings)
        found = backend_auth(context)
    finally:
        backend.close()
    assert (found.status, found.message) == (status, message)
    assert all("wrong password" in line for line in said(caplog, "ml_backend.web", logging.WARNING))
