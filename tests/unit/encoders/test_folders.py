"""Which folders an encoder may be loaded from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.encoder_folders import allow_folders

from ml_backend.encoders import picture_vectors, text_vectors
from ml_backend.encoders.folders import check_folder, parse_folders
from ml_backend.errors import ConfigurationError

__all__ = ["allow_folders"]
Allow = Callable[[Sequence[Path]], None]
NO_FOLDERS = ["auto", "minilm", "efficientnet_lite0", "timm:tiny", "open_clip:a/b", "torchvision:resnet18"]
CACHED = ["sentence_transformers:all-MiniLM-L6-v2", "sentence_transformers:nobody/all-MiniLM-L6-v2"]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine" / "inner").mkdir(parents=True)
    (tmp_path / "mine-too").mkdir()
    (tmp_path / "mine" / "link").symlink_to(tmp_path / "mine-too")
    return tmp_path / "mine"


@pytest.mark.parametrize("name", NO_FOLDERS + CACHED)
def test_names_of_libraries_are_no_folders(name: str) -> None:
    check_folder(name, ())


@pytest.mark.parametrize("prefix", ["", "sentence_transformers:"])
@pytest.mark.parametrize("path", ["{}", "{}/inner", "{}/inner/..", "{}/nothing-yet"])
def test_below_an_allowed_folder(mine: Path, prefix: str, path: str) -> None:
    name = prefix + path.format(mine)
    check_folder(name, (mine,))
    with pytest.raises(ConfigurationError, match="ENCODER_FOLDERS"):
        check_folder(name, ())


@pytest.mark.parametrize("prefix", ["", "sentence_transformers:"])
@pytest.mark.parametrize(
    "path",
    ["/etc", "{}-too", "{}/../mine-too", "{}/link", "{}/..", "~", "~nobody-here/x", "./x", "../x", "/\0", "{}\0"],
)
def test_everywhere_else(mine: Path, prefix: str, path: str) -> None:
    with pytest.raises(ConfigurationError, match=str(mine)):
        check_folder(prefix + path.format(mine), (mine,))


def test_a_relative_folder_that_is_named_like_a_cached_model(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine.parent)
    with pytest.raises(ConfigurationError, match="ENCODER_FOLDERS"):
        check_folder("sentence_transformers:mine/inner", ())
    check_folder("sentence_transformers:mine/inner", (mine,))


def test_what_is_there_is_not_told(mine: Path) -> None:
    said = []
    for name in (str(mine), str(mine.parent / "nothing")):
        with pytest.raises(ConfigurationError) as raised:
            check_folder(name, ())
        said.append(str(raised.value).replace(name, ""))
    assert said[0] == said[1]


def test_encoders_are_loaded_from_allowed_folders_alone(mine: Path, allow_folders: Allow) -> None:
    for resolve, name in (
        (picture_vectors.resolve, str(mine)),
        (text_vectors.resolve, f"sentence_transformers:{mine}"),
    ):
        with pytest.raises(ConfigurationError, match="ENCODER_FOLDERS"):
            resolve(name)
        allow_folders((mine.parent,))
        assert resolve(name) == name
        allow_folders(())


def test_the_setting(mine: Path) -> None:
    link = mine.parent / "short"
    link.symlink_to(mine)
    assert parse_folders(f"{link}{os.pathsep}{os.pathsep} /opt/encoders ") == (mine, Path("/opt/encoders"))
    assert parse_folders("") == ()
    with pytest.raises(ValueError, match="'encoders' is no absolute path"):
        parse_folders("encoders")
