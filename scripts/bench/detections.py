"""Detections whose errors are known: boxes as a detector predicts them, and as people would draw them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIG = (
    '<View><Image name="img" value="$image"/><RectangleLabels name="box" toName="img">'
    '<Label value="Car"/><Label value="Bike"/><Label value="Bus"/></RectangleLabels></View>'
)
LABELS = ("Car", "Bike", "Bus")


def box(
    name: str, place: tuple[float, float, float, float], label: str = "Car", score: Any = None, **more: Any
) -> dict[str, Any]:
    """A region of `CONFIG`."""
    x, y, width, height = place
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]}
    region = {"id": name, "from_name": "box", "to_name": "img", "type": "rectanglelabels", "value": value, **more}
    return region if score is None else region | {"score": score}


def simulated(tasks: int, *, seed: int = 0, hard: float = 0.15) -> tuple[list[list[dict[str, Any]]], NDArray[np.int64]]:
    """What a detector predicts of tasks, and how many of its regions are wrong ``[tasks]``.

    Its scores mean what they say: a box of score ``s`` is wrong with probability ``1 - s``. Of some tasks (``hard``) it
    is unsure (scores of Beta(2, 2)), of the others sure (Beta(20, 1)); a task has one to six boxes.
    """
    rng = np.random.default_rng(seed)
    results, errors = [], np.zeros(tasks, dtype=np.int64)
    for task in range(tasks):
        count = int(rng.integers(1, 7))
        scores = rng.beta(2, 2, count) if rng.random() < hard else rng.beta(20, 1, count)
        errors[task] = int((rng.random(count) > scores).sum())
        places = rng.random((count, 2)) * 80
        results.append(
            [
                box(f"r{number}", (float(x), float(y), 10.0, 15.0), LABELS[number % 3], round(float(score), 4))
                for number, ((x, y), score) in enumerate(zip(places, scores, strict=True))
            ]
        )
    return results, errors
