"""Small examples that every model can learn."""

import numpy as np

# ---

LABELS = ("left", "right", "never seen")

FAST = {"steps": 30}


def those_of(model_class, wanted):
    """The hyperparameters that a model has, of those wanted: not every model is trained in steps."""
    return {name: value for name, value in wanted.items() if name in model_class.hyperparameters()}


def bars(n: int) -> tuple[list, np.ndarray]:
    """Images that are bright on the left (0) or on the right (1)."""
    rng = np.random.default_rng(0)
    targets = np.arange(n) % 2
    images = rng.integers(0, 60, size=(n, 28, 28), dtype=np.uint8)
    for image, target in zip(images, targets, strict=True):
        image[:, 16:26] += np.uint8(180 * target)
        image[:, 2:12] += np.uint8(180 * (1 - target))
    return list(images), targets


def sentences(n: int) -> tuple[list, np.ndarray]:
    """Texts about floods (0) or about football (1)."""
    rng = np.random.default_rng(0)
    words = (["flood", "river", "storm", "rescue"], ["football", "goal", "coach", "league"])
    targets = np.arange(n) % 2
    return [" ".join(rng.choice(words[t], size=3)) + f" story {i}" for i, t in enumerate(targets)], targets


def features(n: int) -> tuple[list, np.ndarray]:
    """Vectors as a picture's encoder makes them: never negative, most of each shared, and each class around a place."""
    rng = np.random.default_rng(0)
    targets = np.arange(n) % 2
    places = rng.gamma(2.0, size=(2, 64))
    return list((3 + places[targets] + rng.gamma(1.0, 2.0, size=(n, 64))).astype(np.float32)), targets


EXAMPLES = {
    "photos": features,
    "vectors": features,
    "mnist_cnn": bars,
    "headlines": sentences,
    "sentences": sentences,
}
