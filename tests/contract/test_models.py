"""The contract that every registered model keeps."""

import numpy as np
import pytest
import safetensors.torch
import torch
from support.examples import EXAMPLES, FAST, LABELS, sentences, those_of
from support.extend_page import extended
from support.plugin.example_plugin.naive_bayes import NaiveBayes

from ml_backend.errors import ConfigurationError, LabelConfigError, ModelError
from ml_backend.models import training
from ml_backend.models.base import LabeledItems
from ml_backend.models.headlines import Headlines
from ml_backend.models.linear_head import LinearHead
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.models.registry import MODELS, model_for_object_tag
from ml_backend.models.sentences import Sentences
from ml_backend.models.torch_classifier import HeadedClassifier

OTHERS = (NaiveBayes, extended()["my_trigram_linear"].TrigramLinear)
"""One without torch's training, steps and dropout; and the one that docs/howto/extend.md shows."""
SWEPT = {**MODELS, **{model.name: model for model in OTHERS}}


@pytest.fixture(scope="module", params=sorted(SWEPT))
def case(request):
    """A model class, 24 items, their targets, and a model fitted on them."""
    model_class = SWEPT[request.param]
    items, targets = EXAMPLES.get(request.param, sentences)(24)
    model = model_class(LABELS)
    report = model.fit(items, targets, seed=3, hyperparameters=those_of(model_class, FAST))
    return model_class, items, targets, model, report


def by_steps(model_class):
    return "steps" in model_class.hyperparameters()


def training_modules(model):
    """Parts of a network that were left as in training."""
    return [m for m in model._network.modules() if m.training] if isinstance(model, HeadedClassifier) else []


def test_every_model_has_examples_here():
    assert set(EXAMPLES) == set(MODELS)
    assert all(name == model.name for name, model in MODELS.items())


def test_model_for_object_tag():
    assert model_for_object_tag("Image") is MnistCnn
    assert model_for_object_tag("Text") is Sentences
    assert model_for_object_tag("Text", "headlines") is Headlines
    assert model_for_object_tag("Image", "headlines") is MnistCnn
    with pytest.raises(ConfigurationError, match="Unknown model 'gpt'; choose auto, mnist_cnn, photos, sentences"):
        model_for_object_tag("Text", "gpt")
    with pytest.raises(LabelConfigError, match=r"<Audio>.*<Image>, <Text>"):
        model_for_object_tag("Audio")


def test_fit_learns_and_reports(case):
    model_class, items, targets, model, report = case
    assert (model.probabilities(items)[:, 0].argmax(axis=1) == targets).mean() > 0.9
    assert report.examples == 24
    assert report.epochs == len(report.loss) >= 1
    assert report.seconds > 0
    assert report.hyperparameters["seed"] == 3
    if by_steps(model_class):
        assert report.epochs == 30 or isinstance(model, LinearHead), "only an exact optimum is found before"
        assert report.epochs <= report.hyperparameters["steps"] == 30
        assert report.loss[-1] < report.loss[0]


@pytest.mark.parametrize("samples", [1, 7])
def test_probabilities_are_distributions(case, samples):
    _, items, _, model, _ = case
    p = model.probabilities(items, samples=samples, seed=1)
    assert p.shape == (24, samples, 3)
    assert p.dtype == np.float32
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=2), 1, atol=1e-5)


def test_one_sample_is_deterministic(case):
    _, items, _, model, _ = case
    np.testing.assert_array_equal(model.probabilities(items, seed=1), model.probabilities(items, seed=2))


def test_samples_differ_around_the_deterministic_pass(case):
    _, items, _, model, _ = case
    p = model.probabilities(items, samples=200, seed=1)
    if not model.stochastic:
        assert np.ptp(p, axis=1).max() == 0
        return
    assert np.ptp(p, axis=1).max() > 0.01
    np.testing.assert_allclose(p.mean(axis=1), model.probabilities(items)[:, 0], atol=0.15)
    np.testing.assert_array_equal(p, model.probabilities(items, samples=200, seed=1))
    assert not np.array_equal(p, model.probabilities(items, samples=200, seed=2))


def test_a_pass_is_one_network_for_all_items(case):
    _, items, _, model, _ = case
    p = model.probabilities(items, samples=5, seed=1)
    np.testing.assert_allclose(p[::-1], model.probabilities(items[::-1], samples=5, seed=1), atol=1e-6)


def test_same_seed_same_weights(case):
    model_class, items, targets, model, _ = case
    again = model_class(LABELS)
    again.fit(items, targets, seed=3, hyperparameters=those_of(model_class, FAST))
    for name, value in model.state()[0].items():
        assert torch.equal(value, again.state()[0][name]), name
    # Of `LinearHead` the exact optimum is found, one and the same whatever the seed, which draws only the folds that
    # the penalty is chosen by; steps over drawn batches end elsewhere with each seed.
    chosen = those_of(model_class, FAST | {"penalty": 1.0})
    third, fourth = model_class(LABELS), model_class(LABELS)
    third.fit(items, targets, seed=3, hyperparameters=chosen)
    fourth.fit(items, targets, seed=4, hyperparameters=chosen)
    one_optimum = isinstance(model, LinearHead) or not by_steps(model_class)
    assert np.array_equal(third.probabilities(items), fourth.probabilities(items)) == one_optimum


def test_validation_items_are_only_looked_at(case):
    """Their loss is reported along the way, and the weights are the same as without them."""
    model_class, items, targets, model, report = case
    assert report.validation is None
    wrong = LabeledItems(items[:9], np.full(9, 2))  # of a class that training never sees
    for validation in (LabeledItems(items[:12], targets[:12]), wrong, LabeledItems([], np.zeros(0, np.int64))):
        watched = model_class(LABELS)
        fast = those_of(model_class, FAST)
        told = watched.fit(items, targets, seed=3, hyperparameters=fast, validation=validation)
        for name, value in model.state()[0].items():
            assert torch.equal(value, watched.state()[0][name]), name
        assert told.loss == report.loss
        assert training_modules(watched) == []
        if not len(validation.items):
            assert told.validation is None
            continue
        curve = told.validation
        looks = min(training.LOOKS, report.epochs)
        assert (curve.epochs[0], curve.epochs[-1], len(curve.epochs)) == (1, report.epochs, looks)
        assert len(curve.loss) == len(curve.epochs)
        assert 0 < curve.items <= len(validation.items)
        falls = report.epochs > 1 and validation is not wrong
        assert (curve.loss[-1] < curve.loss[0]) == falls


def test_looks_are_spread_over_the_epochs():
    assert sorted(training.looked_at(3)) == [1, 2, 3]
    assert [sorted(training.looked_at(200))[i] for i in (0, 1, -2, -1)] == [1, 11, 190, 200]
    assert len(training.looked_at(21)) == len(training.looked_at(1_000)) == training.LOOKS


def test_the_classes_of_watched_items_keep_their_shares():
    known = LabeledItems(list(range(100)), np.repeat([0, 1], [80, 20]))
    items, targets = training.held_out("m", known, LABELS, 10)
    assert targets.tolist() == [0] * 8 + [1] * 2
    assert len(set(items)) == 10
    assert training.held_out("m", known, LABELS, 0) is training.held_out("m", None, LABELS, 10) is None
    with pytest.raises(ModelError, match="0 to 2"):
        training.held_out("m", LabeledItems([1], np.array([3])), LABELS, 10)


def test_global_state_is_left_alone(case):
    model_class, items, targets, _, _ = case
    before = torch.get_rng_state(), np.random.get_state(), torch.get_num_threads()
    model = model_class(LABELS)
    model.fit(items, targets, seed=0, hyperparameters=those_of(model_class, {"steps": 2}))
    model.probabilities(items, samples=3)
    model.embed(items)
    rebuilt = model_class.from_state(LABELS, *model.state())
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_equal(before[1], np.random.get_state())
    assert before[2] == torch.get_num_threads()
    assert torch.is_grad_enabled()
    assert training_modules(model) == training_modules(rebuilt) == []


def test_embed(case):
    _, items, _, model, _ = case
    vectors = model.embed(items)
    assert vectors.shape[0] == 24
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(vectors, model.embed(items))
    np.testing.assert_allclose(vectors[:1], model.embed(items[:1]), atol=1e-6)
    assert model.embed([]).shape == (0, vectors.shape[1])


def test_safetensors_round_trip(case):
    model_class, items, _, model, _ = case
    weights, config = model.state()
    loaded = safetensors.torch.load(safetensors.torch.save(weights))
    rebuilt = model_class.from_state(LABELS, loaded, config)
    np.testing.assert_array_equal(
        model.probabilities(items, samples=4, seed=9), rebuilt.probabilities(items, samples=4, seed=9)
    )
    np.testing.assert_array_equal(model.embed(items), rebuilt.embed(items))


def test_state_is_a_copy(case):
    _, items, _, model, _ = case
    before = model.probabilities(items)
    for value in model.state()[0].values():
        value.zero_()
    np.testing.assert_array_equal(before, model.probabilities(items))


def test_from_state_that_does_not_fit(case):
    model_class, _, _, model, _ = case
    weights, config = model.state()
    with pytest.raises(ModelError, match=r"do not fit.*head" if isinstance(model, HeadedClassifier) else "do not fit"):
        model_class.from_state(("only", "two"), weights, config)
    with pytest.raises(ModelError, match="do not fit"):
        model_class.from_state(LABELS, {}, config)
    if config:
        with pytest.raises(ModelError, match="configuration"):
            model_class.from_state(LABELS, weights, {})


def test_one_item_of_one_class(case):
    model_class, items, _, _, _ = case
    model = model_class(LABELS)
    report = model.fit(items[:1], np.array([2]), seed=0, hyperparameters=those_of(model_class, FAST))
    assert report.examples == 1
    assert model.probabilities(items[:1])[0, 0].argmax() == 2
    assert np.isfinite(model.probabilities(items, samples=3)).all()


def test_no_items(case):
    model_class, _, _, model, _ = case
    with pytest.raises(ModelError, match="without items"):
        model_class(LABELS).fit([], np.array([], dtype=np.int64), seed=0)
    assert model.probabilities([], samples=4).shape == (0, 4, 3)


def test_bad_targets(case):
    model_class, items, targets, _, _ = case
    for bad, message in ((targets[:-1], "one target per item"), (targets + 2, "from 0 to 2"), (targets - 1, "from 0")):
        with pytest.raises(ModelError, match=message):
            model_class(LABELS).fit(items, bad, seed=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 3}, r"no hyperparameter 'epoch'; valid names: [a-z_]+"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"steps": True}, "steps must be a whole number"),
        ({"steps": 10**12}, "steps must be a whole number from 0 to 100,000"),
        ({"learning_rate": "fast"}, "learning_rate must be a number from 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number from 0"),
        ({"dropout": 1.0}, "dropout must be a number from 0 to below 1"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 to 16,384"),
    ],
)
def test_bad_hyperparameters(case, given, message):
    model_class, items, targets, _, _ = case
    if not by_steps(model_class) and "epoch" not in given:
        message = "no hyperparameter"
    with pytest.raises(ModelError, match=message):
        model_class(LABELS).fit(items, targets, seed=0, hyperparameters=given)


def test_diverging_loss_is_an_error(case):
    model_class, items, targets, model, _ = case
    mad = those_of(model_class, {"learning_rate": 1e38, "steps": 30})
    if (
        isinstance(model, LinearHead) or not mad
    ):  # nothing can diverge: no learning rate, or it is not the user's to set
        same = model_class(LABELS)
        same.fit(items, targets, seed=3, hyperparameters=mad)
        np.testing.assert_array_equal(same.probabilities(items), model.probabilities(items))
        return
    with pytest.raises(ModelError, match="training loss became"):
        model_class(LABELS).fit(items, targets, seed=0, hyperparameters=mad)


def test_progress_reaches_the_end(case):
    model_class, items, targets, _, _ = case
    calls = []
    few = those_of(model_class, {"steps": 3})
    model_class(LABELS).fit(items, targets, seed=0, hyperparameters=few, progress=lambda *done: calls.append(done))
    assert calls == ([(1, 3), (2, 3), (3, 3)] if few else [(1, 1)])


def test_unfitted_and_wrong_use(case):
    model_class, items, _, model, _ = case
    for ask in (lambda m: m.probabilities(items), lambda m: m.embed(items), lambda m: m.state()):
        with pytest.raises(ModelError, match="neither trained nor loaded"):
            ask(model_class(LABELS))
    with pytest.raises(ModelError, match="samples must be at least 1"):
        model.probabilities(items, samples=0)
    with pytest.raises(ModelError, match="at least one label"):
        model_class(())
    with pytest.raises(ModelError, match="each of them once"):
        model_class(("a", "a"))


def test_batches_use_every_item_equally_often():
    drawn = torch.cat(list(training.batches(10, 4, 5, torch.Generator().manual_seed(0))))
    assert torch.bincount(drawn).tolist() == [2] * 10
