"""Folders of the machine that somebody names in a project's settings."""

from __future__ import annotations

import pytest
from support.attacks import Attack

UID = "7.1700000000"
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)


@pytest.mark.parametrize("folder", ["/etc", "sentence_transformers:/etc", "sentence_transformers:../x", "~"])
def test_no_encoder_is_loaded_from_a_folder_that_nobody_allowed(attack: Attack, folder: str) -> None:
    server = attack()
    body = {"project": UID, "schema": CONFIG, "extra_params": {"hyperparameters": {"encoder": folder}}}
    answer = server.http.post("/setup", json=body)
    assert answer.status_code == 400
    assert "outside those that encoders may be loaded from" in answer.json()["error"]
