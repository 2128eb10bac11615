"""What was chosen, under other names, and without some of it."""

import numpy as np

from ml_backend.selection.selection import Selection

CHOSEN = Selection(
    np.array([7, 5, 9]),
    ("auto", "control", "auto"),
    np.array([1.0, 0.8, 0.5]),
    {7: "far", 9: "between"},
    np.array([0, 1, 0]),
    np.array([0.9, 0.5, 0.4]),
)


def test_other_names_keep_all_the_rest():
    renamed = CHOSEN.renamed({7: 70})
    assert renamed.task_ids.tolist() == [70, 5, 9]
    assert renamed.reasons == {70: "far", 9: "between"}
    assert renamed.picked_by == CHOSEN.picked_by


def test_without_some_the_others_keep_what_is_said_of_them():
    left = CHOSEN.without({5})
    assert left.task_ids.tolist() == [7, 9]
    assert left.picked_by == ("auto", "auto")
    assert left.utility.tolist() == [1.0, 0.5]
    assert left.winner is not None
    assert left.winner.tolist() == [0, 0]
    assert left.confidence is not None
    assert left.confidence.tolist() == [0.9, 0.4]
