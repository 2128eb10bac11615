"""Images that an embedding can tell apart."""

import numpy as np


def strokes(count, seed=0):
    """Images of one bar each, across or upright, somewhere near the middle."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 20, (count, 28, 28)).astype(np.uint8)
    for number, image in enumerate(images):
        at, long = rng.integers(11, 16), slice(*sorted((rng.integers(3, 8), rng.integers(20, 26))))
        if number % 2:
            image[at : at + 3, long] = 220
        else:
            image[long, at : at + 3] = 220
    return list(images)


BARS = ("1", "7")
TWO_BARS = """<View>
  <Image name="image" value="$image"/>
  <Choices name="bar" toName="image"><Choice value="1"/><Choice value="7"/></Choices>
</View>"""
"""Of ten choices, eight would be searched for, which does not depend on what is answered."""
