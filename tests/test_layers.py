"""Imports point down only: the layers of README.md's picture, lowest first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ml_backend

PACKAGE = Path(ml_backend.__file__).parent
LAYERS = (
    ("errors", "records", "fingerprints"),
    ("feature_cache", "hardware"),
    ("text_encoding",),
    ("models",),
    ("encoders",),
    (
        "text_files",
        "acquisition",
        "picks",
        "queue_names",
        "promotion",
        "agreement",
        "manifest",
        "judgement",
        "trigger",
        "round_options",
        "learning",
        "retries",
        "learning_curves",
        "graph",
        "projection",
    ),
    (
        "balance",
        "batch_bald",
        "badge",
        "clusters",
        "novelty",
        "transfer",
        "evidence",
        "raw_embeddings",
    ),
    ("geometry", "auto"),
    ("instant", "served_queue", "moves"),
    ("strategies", "instant_queue"),
    ("mixture",),
    ("ranking", "config", "label_config", "metrics", "headline_files"),
    ("pool_map",),
    ("label_studio_http",),
    ("datasets", "label_studio", "report", "logs", "remote", "lease"),
    ("embeddings", "instant_file", "shared_folder"),
    ("readers", "store", "mirror", "media", "scoring", "control", "trainer", "situation"),
    ("stores", "gathering"),
    (
        "library",
        "pool",
        "publish",
        "order_proof",
        "selection",
        "answers",
        "doubt",
        "extra_params",
        "progress",
        "wishes",
    ),
    ("pool_training",),
    ("pool_learning",),
    ("versions", "workspace", "simulation"),
    ("random_arm", "recheck", "drawing"),
    ("project_embedding", "training", "instant_round"),
    ("instant_project",),
    ("instant_loop",),
    ("measures",),
    ("loop",),
    ("round_log",),
    ("diagnosis",),
    ("checks",),
    ("backend", "worker"),
    ("scheduler",),
    ("monitoring",),
    ("dashboard",),
    ("server",),
)
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


def modules() -> Iterator[tuple[str, Path]]:
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if name != "__init__":
            yield name, path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ml_backend."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "ml_backend":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("ml_backend."))


def test_every_module_has_a_layer() -> None:
    assert {name for name, _ in modules()} == set(RANK)


def test_imports_point_down_only() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for name, path in modules()
        for other in imported(path)
        if other != name and RANK[other] >= RANK[name]
    ]
    assert wrong == []
