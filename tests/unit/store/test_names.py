"""What a store says is not believed unseen: names that lead elsewhere, numbers that are none, too deep, too odd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.served import UID, VERSION, publish

from ml_backend.config import Settings
from ml_backend.errors import StoreError
from ml_backend.store.manifest import WEIGHTS_FILE, write_weights
from ml_backend.store.project_store import Current, ProjectStore

OUTSIDE = ["../../../outside", "..", "a/b", "/etc/passwd", "a\\b", ".hidden", "a\x00b", "a" * 300, ""]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("field", ["version", "queue", "pinned"])
def test_a_choice_that_names_what_is_elsewhere_is_damaged(tmp_path: Path, name: str, field: str) -> None:
    store = ProjectStore(tmp_path, UID)
    store.set_current(Current())
    (store.folder / "current.json").write_text(json.dumps({field: name}))
    with pytest.raises(StoreError, match=r"current\.json is damaged"):
        store.current()


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_path_is_made_of_such_a_name(tmp_path: Path, name: str) -> None:
    store = ProjectStore(tmp_path, UID)
    for read in (store.manifest, store.weights, store.evaluation_predictions, store.map, store.queue):
        with pytest.raises(StoreError):
            read(name)


@pytest.mark.parametrize(
    "content", ['{"version": NaN}', '{"a": ' + "[" * 5000 + "]" * 5000 + "}", '{"queue": 5}', "[1]"]
)
def test_odd_content_is_damaged(tmp_path: Path, content: str) -> None:
    store = ProjectStore(tmp_path, UID)
    store.set_current(Current())
    (store.folder / "current.json").write_text(content)
    with pytest.raises(StoreError, match="is damaged"):
        store.current()


def test_no_number_is_written_that_cannot_be_read_again(tmp_path: Path) -> None:
    store = ProjectStore(tmp_path, UID)
    store.write_document("measures.json", {"a": 1.0})
    with pytest.raises(StoreError, match="not finite"):
        store.write_document("measures.json", {"a": float("nan")})
    assert store.document("measures.json") == {"a": 1.0}


def test_weights_that_are_no_numbers_are_damaged(settings: Settings) -> None:
    publish(settings, UID, {})
    store = ProjectStore(settings.model_dir, UID)
    weights = store.weights(VERSION)
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    broken = {**weights, name: torch.full_like(weights[name], float("nan"))}
    write_weights(store.version_folder(VERSION) / WEIGHTS_FILE, broken)
    with pytest.raises(StoreError, match=f"{name} has NaN or infinite values"):
        store.weights(VERSION)
