"""Whether texts are English, told from themselves: which encoder to begin with, before labels can say better."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ml_backend.encoders.side_by_side import BOTH

ENGLISH: Final = BOTH
"""Encoder of English texts."""
MANY: Final = "multilingual"
"""Encoder of texts in many languages."""
SAMPLE: Final = 2_000
"""Texts that are looked at, evenly spread over the pool."""
LEAST_WORDS: Final = 20
"""With fewer the share of common words says nothing."""
FOREIGN_SCRIPTS: Final = 1 / 3
"""Share of texts mostly in other than Latin letters from which on an encoder of Latin letters is of no use."""
COMMON_SHARE: Final = 0.03
"""Share of common words below which texts are not English; headlines, which have few, stay well above."""
COMMON_WORDS: Final = (
    "the of and that for it with be not his but are this have from which you were all she there would their we him has "
    "when who if out said what up its about into than them only other new some could time these two may first my now "
    "such like our even made after did many before through years where much your way well down should because each "
    "just those people how too good very make world still own work long get between both life being never day same "
    "another know while might us great old year off since against go came right used take three"
)
"""The most frequent words of English, without most of those that are frequent in another language in Latin letters."""
COMMON: Final = frozenset(COMMON_WORDS.split())
NOISE: Final = re.compile(r"https?://\S+|[@#]\w+")
WORD: Final = re.compile(r"[^\W\d_]+")
LATIN_ENDS: Final = "\u024f"
"""Last of the letters that languages in Latin script need, but for those of Vietnamese."""
VIETNAMESE: Final = ("\u1e00", "\u1eff")


@dataclass(frozen=True)
class LanguageHint:
    """Which encoder to begin with, and why."""

    encoder: str
    """``ENGLISH`` or ``MANY``."""
    reason: str
    """In a sentence."""
    told: bool = True
    """Whether the texts told it; else they are too few."""


def language_hint(texts: Sequence[str]) -> LanguageHint:
    """The encoder to begin with: one of many languages where most texts are not English.

    Texts are not English where a third of them are mostly in other letters than Latin ones, or where common English
    words are fewer than 3 in 100 words of the others. Links, ``@names`` and ``#tags`` are not looked at.
    """
    words = [WORD.findall(NOISE.sub(" ", text.lower())) for text in texts[:: -(-len(texts) // SAMPLE) or 1]]
    written = [found for found in words if found]
    if not written:
        return LanguageHint(ENGLISH, "No text has a word that would tell its language.", told=False)
    latin = [found for found in written if _is_latin(found)]
    foreign = 1 - len(latin) / len(written)
    if foreign >= FOREIGN_SCRIPTS:
        return LanguageHint(MANY, f"{foreign:.0%} of the texts are not in Latin letters.")
    total = sum(len(found) for found in latin)
    share = sum(word in COMMON for found in latin for word in found) / total
    if total < LEAST_WORDS:
        return LanguageHint(ENGLISH, f"{total} words are too few to tell their language.", told=False)
    reason = f"{share:.1%} of the words are common English ones"
    if share < COMMON_SHARE:
        return LanguageHint(MANY, f"{reason}: the texts are not English.")
    return LanguageHint(ENGLISH, f"{reason}: the texts are English, or many of them.")


def _is_latin(words: Sequence[str]) -> bool:
    letters = "".join(words)
    latin = sum(letter <= LATIN_ENDS or VIETNAMESE[0] <= letter <= VIETNAMESE[1] for letter in letters)
    return 2 * latin >= len(letters)
