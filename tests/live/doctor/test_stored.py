"""The doctor, and what may be wrong with the project and its store."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from support.connected import AUDIO

from ml_backend.doctor import stored


def test_an_unsupported_config(installation):
    installation.patch(label_config=AUDIO)
    found = installation.findings()
    assert "asks about <Audio>" in found["Labeling config"].message
    assert "Labeling Interface" in found["Labeling config"].remedy
    assert found["Sampling"].status == found["Coverage"].status == "ok"
    assert found["Order"].status == "skipped"


def test_no_store(installation, tmp_path):
    installation.settings = installation.settings.model_copy(update={"model_dir": tmp_path / "elsewhere"})
    found = installation.wrong()
    assert {name for name, item in found.items() if item.status == "error"} <= {"Store", "Webhook"}
    assert found.keys() <= {"Store", "Webhook", "Webhook's secret"}  # the secret lies in MODEL_DIR, too
    assert "Label Studio serves" in found["Store"].message
    assert "MODEL_DIR" in found["Store"].remedy
    assert not (tmp_path / "elsewhere").exists()
    found = installation.findings()
    assert found["Served version"].status == found["Left-over versions"].status == "skipped"


def test_no_round_yet(installation, make_project):
    installation.project = make_project("headlines", 2)
    found = installation.wrong()
    assert found.keys() == {"Store", "Evaluation tasks", "Data Manager tab"}
    assert "lsal sync" in found["Store"].remedy


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"other": 1}'])
def test_a_damaged_current_file(installation, content):
    (installation.store.folder / "current.json").write_bytes(content)
    found = installation.findings()
    assert found["Stored files"].status == "error"
    assert "current.json is damaged" in found["Stored files"].message
    assert found["Served version"].status == found["Last round"].status == "skipped"
    assert found["Webhook"].status == found["Sampling"].status == "ok"


@pytest.mark.parametrize("part", ["weights.safetensors", "model.json"])
def test_a_damaged_version(installation, part):
    folder = installation.store.folder / "versions" / installation.store.current().version
    (folder / part).write_bytes(b"torn")
    assert part in installation.findings()["Stored files"].message


def test_a_full_disk(installation):
    found = stored.disk(installation.context(), free_bytes=lambda place: 5_000_000)
    assert found.status == "warning"
    assert found.remedy
    assert "Only 5 MB free" in found.message


def test_a_store_that_cannot_be_written(installation):
    folder = installation.store.folder
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("/proc/self")  # where nobody may make a file, not even root
    assert f"{folder} cannot be written (" in installation.findings()["Store"].message


def test_labels_that_wait_too_long(installation):
    long_ago = (datetime.now(UTC) - timedelta(hours=5)).timestamp()
    for path in installation.store.folder.rglob("*.json"):
        os.utime(path, (long_ago, long_ago))
    found = installation.only("Last round", "warning")
    assert "5 hours ago" in found.message
    assert "lsal sync" in found.remedy


def test_a_failed_round_is_told(installation):
    lines = installation.store.folder / "rounds.jsonl"
    lines.touch(0o600)  # as rounds make it; the doctor also tells of files that others can read
    lines.write_text('{"error": "Label Studio was away"}\n', encoding="utf-8")
    assert installation.only("Last round", "error").message == "It failed: Label Studio was away"
