"""Several people's answers to one task: the label they give it together, and how much they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from ml_backend.label_sets import SEPARATOR, unpack
from ml_backend.records import Annotation


@dataclass(frozen=True)
class Agreement:
    """How much people agree on the tasks that at least two of them answered."""

    tasks: int
    """Tasks with at least two answers."""
    answers: int
    """The answers to them."""
    tied: int
    """Tasks among them without a most frequent answer: nothing is trained on these until another answer decides."""
    percent: float
    """Share of equal answers among the pairs of answers to one task, mean over the tasks, in percent."""
    alpha: float | None
    """`krippendorff_alpha`: 1 is full agreement, 0 what chance brings; None where all answers are the same."""

    def __str__(self) -> str:
        alpha = "no alpha: all answers are the same" if self.alpha is None else f"Krippendorff's alpha {self.alpha:.2f}"
        return f"{self.percent:.0f} % agreement on {self.tasks} tasks with several answers ({alpha}, {self.tied} tied)"


def answers(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    """One label per person, oldest first: a person who answered more than once means the newest answer.

    Skipped (cancelled) annotations and those without a choice do not count. Annotations that name nobody are of
    different people.
    """
    newest: dict[int, str] = {}
    for annotation in sorted(annotations, key=lambda a: (a.updated_at, a.id)):
        if not annotation.cancelled and annotation.label is not None:
            person = -annotation.id if annotation.annotator is None else annotation.annotator
            newest.pop(person, None)
            newest[person] = annotation.label
    return tuple(newest.values())


def majority(labels: Sequence[str]) -> str | None:
    """The label given most often; None without labels, and where several are tied.

    A tie is no label: whichever of the tied were taken, half of such tasks or more would be trained on wrong.
    """
    top = Counter(labels).most_common(2)
    if not top or (len(top) == 2 and top[0][1] == top[1][1]):
        return None
    return top[0][0]


def majority_set(answers: Sequence[str]) -> str | None:
    """The set of the labels that more than half of the answers have; None without answers, and where one has half.

    Each answer is a set (`label_sets`), and each label is decided by itself.
    """
    chosen = [unpack(answer) for answer in answers]
    votes = Counter(label for labels in chosen for label in labels)
    if not chosen or any(2 * count == len(chosen) for count in votes.values()):
        return None
    return SEPARATOR.join(label for label in votes if 2 * votes[label] > len(chosen))


def together(answers: Sequence[str], *, sets: bool) -> str | None:
    """`majority_set` of sets, else `majority`; the labels of a set in any order."""
    return majority_set(answers) if sets else majority(answers)


def consensus(annotations: Iterable[Annotation]) -> str | None:
    """The label that people agree on: the `majority` of their `answers`."""
    return majority(answers(annotations))


def measure(units: Iterable[Sequence[str]], *, sets: bool = False) -> Agreement | None:
    """Agreement on tasks, each given by its answers; None where no task has two.

    Of ``sets`` alpha goes by `masi_distance`, and equal answers are equal sets.
    """
    several = [unit for unit in units if len(unit) > 1]
    if not several:
        return None
    equal = [_equal_pairs(Counter(unit)) / (len(unit) * (len(unit) - 1)) for unit in several]
    return Agreement(
        tasks=len(several),
        answers=sum(map(len, several)),
        tied=sum(together(unit, sets=sets) is None for unit in several),
        percent=100 * sum(equal) / len(equal),
        alpha=krippendorff_alpha(several, masi_distance if sets else None),
    )


def masi_distance(one: str, other: str) -> float:
    """``1 - J M`` of two sets, in [0, 1]: ``J`` is what they share over what either has.

    ``M`` is 1 for equal sets, 2/3 where one holds the other, 1/3 where each has something of its own beside something
    shared, else 0. Two empty sets are equal; an empty one shares nothing. Source: Passonneau 2006,
    https://aclanthology.org/L06-1392/.
    """
    a, b = frozenset(unpack(one)), frozenset(unpack(other))
    if a == b:
        return 0.0
    monotone = 2 / 3 if a < b or b < a else 1 / 3
    return 1.0 - len(a & b) / len(a | b) * monotone


def krippendorff_alpha(
    units: Iterable[Sequence[str]], distance: Callable[[str, str], float] | None = None
) -> float | None:
    """Krippendorff's alpha, for any number of people and missing answers; of nominal answers without a ``distance``.

    ``alpha = 1 - D_o / D_e``. With ``m_u`` answers to unit ``u``, ``n_uc`` of them ``c``, and over all units with
    ``m_u >= 2``: ``n_c = sum_u n_uc``, ``n = sum_c n_c``, ::

        D_o = 1/n sum_u 1/(m_u - 1) sum_{c != k} n_uc n_uk        D_e = 1/(n (n - 1)) sum_{c != k} n_c n_k

    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability",
    https://repository.upenn.edu/asc_papers/43. None where it is not defined: no unit has two answers, or all answers
    are the same. With a distance each pair of answers counts by it, in place of 1 for unequal ones.
    """
    counts = [Counter(unit) for unit in units if len(unit) > 1]
    totals = sum(counts, Counter[str]())
    expected = _apart(totals, distance)
    if not expected:
        return None
    observed = sum(_apart(unit, distance) / (unit.total() - 1) for unit in counts)
    return 1 - observed * (totals.total() - 1) / expected


def _apart(counts: Counter[str], distance: Callable[[str, str], float] | None) -> float:
    """Sum of the distances of all ordered pairs of answers."""
    if distance is None:
        return counts.total() ** 2 - sum(count * count for count in counts.values())
    pairs = combinations(counts.items(), 2)
    return 2 * sum(m * k * distance(one, other) for (one, m), (other, k) in pairs)


def _equal_pairs(counts: Counter[str]) -> int:
    return sum(count * (count - 1) for count in counts.values())
