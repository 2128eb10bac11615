"""What a model learnt from, in the words of a round."""

from ml_backend.rounds.training import told_of
from ml_backend.semi_supervised.choice import UNLABELLED_TOO


def test_with_a_pool_outside_rows_are_not_called_tasks():
    said = f"learnt from all 1,500 {UNLABELLED_TOO} (too few evaluation tasks to compare)"
    assert told_of(said, outside=False) == said
    assert told_of(said, outside=True) == (
        "learnt from all 1,500 tasks and rows of the pool that were compared (too few evaluation tasks to compare)"
    )
    assert told_of("learnt from the labels alone", outside=True) == "learnt from the labels alone"
