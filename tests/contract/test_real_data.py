"""What few labels of real headlines are enough for, and that the presets read their data."""

import numpy as np

from ml_backend.evaluation.metrics import evaluate
from ml_backend.models.registry import MODELS
from ml_backend.simulation.data import Source
from ml_backend.simulation.headline_files import load_headlines
from ml_backend.simulation.photo_sets import photo_labels, photo_sets
from ml_backend.simulation.photo_table import FOLDER, read_photographs
from ml_backend.simulation.presets import PRESETS

PHOTOGRAPHS = ("photos", "photo_sets")


def test_after_95_headlines_it_knows_more_than_ngrams(shared_data):
    data = load_headlines(shared_data)
    labels = ("not related", "related")
    training, held_out = ([item.text for item in items] for items in (data.training, data.evaluation))
    targets, truth = (
        np.array([labels.index(item.label) for item in items]) for items in (data.training, data.evaluation)
    )
    found = {}
    for name in ("sentences", "headlines"):
        model = MODELS[name](labels)
        model.fit(training, targets, seed=0)
        found[name] = evaluate(model.probabilities(held_out)[:, 0], truth, labels, "related").auc
    assert found["sentences"] > 0.87
    assert found["sentences"] > found["headlines"] + 0.1


def test_presets_read_the_real_data(shared_data):
    every = [entry for several in PRESETS.values() for entry in several]
    entries = [entry for entry in every if entry.kind not in PHOTOGRAPHS]
    found = {entry.kind: Source(entry.kind, shared_data).load() for entry in entries}
    for entry in entries:
        entry.design.check(len(found[entry.kind].items))
    assert len(found["mnist"].items) == 10_000
    assert len(found["ag_news"].items) > 7_500
    assert found["disasters"].labels == ("not related", "related")
    assert len(found["disasters"].items) > 1_250


def test_the_presets_of_photographs_fit_their_official_split(shared_data):
    """Their table alone: the network would look at all of them for a minute."""
    rows = read_photographs(shared_data)
    entries = [entry for several in PRESETS.values() for entry in several if entry.kind in PHOTOGRAPHS]
    assert len(entries) == len(PHOTOGRAPHS)
    for entry in entries:
        entry.design.check(len(rows))
        assert sum(row.test for row in rows) == entry.design.held_out
    assert all((shared_data / FOLDER / row.path).is_file() for row in rows)
    classes = sorted({row.label for row in rows})
    sets = photo_sets(classes, np.array([classes.index(row.label) for row in rows]))
    has = dict(zip(photo_labels(classes), sets.T, strict=True))
    assert (has["fruit"] + has["vegetable"] + has["packed"] == 1).all()
    assert has["dairy"].sum() == has["Milk"].sum() + has["Yoghurt"].sum()
