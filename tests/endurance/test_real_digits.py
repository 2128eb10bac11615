"""What fifteen labels of real digits are enough for."""

import numpy as np

from ml_backend.config import ProjectSettings
from ml_backend.encoders.gradients import Gradients
from ml_backend.evaluation.metrics import evaluate
from ml_backend.models.base import LabeledItems
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.selection.context import QueryContext
from ml_backend.selection.select import select
from ml_backend.semi_supervised.choice import fit_with_pool
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.simulation.mnist_files import load_mnist


def test_fifteen_labels_of_real_digits(shared_data):
    """The whole way, without first labels: embedding, cold start, spread labels, an ordinary model."""
    images, digits, _ = load_mnist(shared_data / "mnist")
    pool, truth, ids = list(images[:1000]), digits[:1000].astype(np.int64), np.arange(1000)
    unlabelled = Unlabelled(PoolEmbedding.learn(Gradients, pool, seed=0), np.full(10, 0.1))
    settings = ProjectSettings(strategy="auto", control_share=0)
    labelled: list[int] = []
    for count in (8, 7):
        rest = np.setdiff1d(ids, labelled)
        so_far = LabeledItems([pool[i] for i in labelled], truth[labelled])
        context = QueryContext(
            None, [pool[i] for i in rest], rest, settings, classes=10, labelled=so_far, unlabelled=unlabelled
        )
        asked = select(context, count=count)
        labelled += asked.task_ids.tolist()
    found = fit_with_pool(
        Recipe(lambda: MnistCnn(tuple("0123456789")), seed=0, hyperparameters={"steps": 120}),
        LabeledItems([pool[i] for i in labelled], truth[labelled]),
        pool,
        unlabelled,
    )
    held_out = slice(4000, 4500)
    probabilities = found.model.probabilities(list(images[held_out]))[:, 0]
    judged = evaluate(probabilities.astype(np.float64), digits[held_out].astype(np.int64), tuple("0123456789"))
    assert judged.accuracy > 0.85  # random labels and a supervised model: about 0.5
    assert judged.ece < 0.1
