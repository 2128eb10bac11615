"""News items with several labels each: AG's topic, and what words of the text tell beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

RULES: Final = {
    "money": r"\$|\b(dollars?|euros?|billions?|millions?|profits?|prices?|sales|shares|costs?|percent)\b",
    "violence": r"\b(kill\w*|attack\w*|bomb\w*|war|troops|gunmen|dead|deaths?|wounded|hostages?|terror\w*)\b",
    "companies": r"\b(inc|corp|ltd|company|companies|microsoft|google|ibm|yahoo|oracle|intel|merger|shareholders?)\b",
}
"""Label → words of the text, in any case of letters, of which one gives it. Mostly within two topics each, and some
items of those have none: a label can neither be told from the topic, nor is it one of its own."""


def news_labels(topics: Iterable[str]) -> tuple[str, ...]:
    """The topics, then what `RULES` give."""
    return (*topics, *RULES)


def news_sets(texts: Iterable[str], topics: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Which labels each text has ``[N, C]``: its topic's, of ``count``, and those of the rules."""
    patterns = [re.compile(pattern, re.IGNORECASE) for pattern in RULES.values()]
    told = np.array([[bool(pattern.search(text)) for pattern in patterns] for text in texts], dtype=np.int64)
    return np.hstack([np.eye(count, dtype=np.int64)[topics], told.reshape(-1, len(patterns))])
