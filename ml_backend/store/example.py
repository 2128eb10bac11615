"""Classify texts or images with the exported model beside this file.

Most of a call's time is spent on loading Python's packages and the model, and hardly any on one more item. So give many
items at once, as arguments or as the lines of a file, or import `classify` into a program that keeps running.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ml_backend.errors import ActiveLearningError
from ml_backend.models.base import Model
from ml_backend.store.versions import load_exported  # all of the package label-studio-active-learning

FOLDER: Final = Path(__file__).parent
BATCH: Final = 256
"""Items at a time, which bounds the memory needed."""


def classify(contents: Sequence[str | bytes], model: Model) -> list[dict[str, float]]:
    """For each text or image file's content: label → probability, the most probable label first."""
    items = [model.read_item(content) for content in contents]
    rows = model.probabilities(items).mean(axis=1)  # [items, passes, classes] -> [items, classes]
    found = [zip(model.labels, map(float, row), strict=True) for row in rows]
    return [dict(sorted(pairs, key=lambda pair: -pair[1])) for pairs in found]


def main(arguments: Sequence[str]) -> None:
    """Classify the arguments of the command line, or the lines of a file."""
    is_image = json.loads((FOLDER / "model.json").read_text(encoding="utf-8"))["object_tag"] == "Image"
    is_list = arguments[:1] == ["--file"]
    if not arguments or (is_list and len(arguments) != 2):
        what, line = ("IMAGE_FILE", "a path") if is_image else ("TEXT", "a text")
        sys.exit(f"usage: python example.py {what} ...\n       python example.py --file FILE    {line} in each line")
    try:
        lines = Path(arguments[1]).read_text(encoding="utf-8").splitlines() if is_list else arguments
        for name, guess in _classified([line for line in lines if line.strip()], is_image=is_image):
            if len(lines) == 1:
                print("\n".join(f"{probability:.4f}  {label}" for label, probability in guess.items()))
            else:
                label = next(iter(guess))
                print(f"{guess[label]:.4f}  {label}  {name}")
    except (OSError, UnicodeError, ActiveLearningError) as exc:
        sys.exit(f"example.py: {exc}")


def _classified(names: Sequence[str], *, is_image: bool) -> Iterator[tuple[str, dict[str, float]]]:
    model: Model | None = None
    for start in range(0, len(names), BATCH):
        some = names[start : start + BATCH]
        contents = [Path(name).read_bytes() if is_image else name for name in some]
        model = model or load_exported(FOLDER)  # loaded late because it takes seconds: a missing file is reported first
        yield from zip(some, classify(contents, model), strict=True)


if __name__ == "__main__":
    main(sys.argv[1:])
