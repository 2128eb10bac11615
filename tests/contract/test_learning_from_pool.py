"""Learning from the pool: better with few labels, never worse than the labels alone, and calibrated."""

import numpy as np
import pytest
from sklearn.metrics import f1_score
from support.strokes import strokes

from ml_backend.config import ProjectSettings
from ml_backend.encoders.gradients import Gradients
from ml_backend.encoders.registry import ENCODERS
from ml_backend.errors import ModelError
from ml_backend.evaluation.metrics import evaluate
from ml_backend.models.base import LabeledItems
from ml_backend.models.headlines import Headlines
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.models.sentences import Sentences
from ml_backend.selection.context import QueryContext
from ml_backend.selection.select import select
from ml_backend.semi_supervised.calibration import FOLD_STEPS, calibrate
from ml_backend.semi_supervised.choice import fit_labels, fit_with_pool, labels_rival, macro_f
from ml_backend.semi_supervised.fitter import PoolFitter, Recipe, Stages
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.semi_supervised.shares import class_prior, plausible

SHORT = {"steps": 30}
TWO = np.full(2, 0.5)


@pytest.fixture(scope="module")
def bars():
    items = strokes(300)
    return items, np.arange(300) % 2, PoolEmbedding.learn(Gradients, items[:240], seed=0)


def make():
    return MnistCnn(("upright", "across"))


def known(bars, positions):
    items, targets, _ = bars
    return LabeledItems([items[i] for i in positions], targets[list(positions)])


def test_four_labels_are_enough_where_the_pool_shows_the_rest(bars):
    items, targets, embedding = bars
    found = fit_with_pool(
        Recipe(make, seed=0, hyperparameters=SHORT), known(bars, range(4)), items[:240], Unlabelled(embedding, TWO)
    )
    assert (found.learnt_from, found.training.examples) == ("pool", 240)
    assert "to compare" in found.reason
    answers = found.model.probabilities(items[240:])[:, 0].argmax(axis=1)
    assert (answers == targets[240:]).mean() > 0.9


def test_evaluation_items_choose_and_calibrate(bars):
    items, _, embedding = bars
    seen = []
    found = fit_with_pool(
        Recipe(
            make,
            seed=0,
            hyperparameters=SHORT,
            evaluation=known(bars, range(240, 300)),
            progress=lambda done, total: seen.append(done / total),
        ),
        known(bars, range(20)),
        items[:240],
        Unlabelled(embedding, TWO),
    )
    assert found.pool_score >= found.labels_score
    assert "60 evaluation tasks" in found.reason
    assert found.training.validation.epochs[-1] == found.training.epochs
    assert seen == sorted(seen)
    assert seen[-1] == 1


class Counted(MnistCnn):
    """Notes the steps of its trainings."""

    def __init__(self, seen):
        super().__init__(("upright", "across"))
        self._seen = seen

    def fit(self, items, targets, **others):
        report = super().fit(items, targets, **others)
        self._seen.append(report.hyperparameters["steps"])
        return report


@pytest.mark.parametrize(("right", "steps"), [(False, [FOLD_STEPS]), (True, [FOLD_STEPS, FOLD_STEPS + 40])])
def test_a_rival_that_is_clearly_behind_is_not_trained_to_the_end(bars, right, steps):
    items, targets, _ = bars
    by_pool, trained, seen = make(), [], []
    by_pool.fit(items, targets, seed=0, hyperparameters=SHORT)
    few = known(bars, range(20))
    few = few if right else LabeledItems(few.items, 1 - few.targets)
    stages = Stages(lambda done, total: seen.append(done / total), 2)
    chosen = {"steps": FOLD_STEPS + 40, "batch_size": 20}
    trainer = PoolFitter(lambda: Counted(trained), 0, chosen, stages)
    labels_rival(trainer, few, by_pool, known(bars, range(240, 300)))
    assert trained == steps
    assert seen[-1] == 1


def test_what_does_better_is_used(bars):
    """The graph joins items at random: what it spreads is noise."""
    items, _, embedding = bars
    rng = np.random.default_rng(0)
    misled = PoolEmbedding(
        embedding.encoder,
        embedding.made_of,
        embedding.keys,
        embedding.rows,
        rng.integers(0, 240, embedding.near.shape),
        np.ones_like(embedding.gaps),
    )
    for evaluation in (None, known(bars, range(240, 300))):
        found = fit_with_pool(
            Recipe(make, seed=0, hyperparameters=SHORT, evaluation=evaluation),
            known(bars, range(30)),
            items[:240],
            Unlabelled(misled, TWO),
            drawn=np.ones(30, np.bool_),
        )
        better = "labels" if found.labels_score > found.pool_score else "pool"
        assert found.learnt_from == better, found.reason
        assert found.training.examples == {"labels": 30, "pool": 240}[better]
        if evaluation is None:  # evaluation tasks may show that the model saw through the noise
            assert better == "labels"


def test_a_class_without_a_label_is_not_made_up(bars):
    items, _, embedding = bars
    three = Unlabelled(embedding, np.full(3, 1 / 3))
    found = fit_with_pool(
        Recipe(lambda: MnistCnn(("upright", "across", "never seen")), seed=0, hyperparameters=SHORT),
        known(bars, range(6)),
        items[:240],
        three,
    )
    answers = found.model.probabilities(items[240:])[:, 0].argmax(axis=1)
    assert 2 not in answers


def test_a_pool_of_one_repeated_image_and_tiny_pools(bars):
    items = bars[0]
    for pool in ([items[0]] * 50, items[:3]):
        embedding = PoolEmbedding.learn(Gradients, pool, seed=0)
        found = fit_with_pool(
            Recipe(make, seed=0, hyperparameters=SHORT), known(bars, range(2)), pool, Unlabelled(embedding, TWO)
        )
        assert np.isfinite(found.model.probabilities(items[:5])).all()


def test_tasks_of_another_kind_that_come_later_are_asked_for_and_learnt(bars):
    items, _, embedding = bars
    later = [np.where(np.eye(28) + np.eye(28)[::-1] > 0, 220, item // 11).astype(np.uint8) for item in items[:60]]
    pool, truth = [*items[:240], *later], np.array([*(np.arange(240) % 2), *[2] * 60])
    grown, labelled = Unlabelled(embedding.extended(pool), np.full(3, 1 / 3)), list(range(10))
    rest = np.setdiff1d(np.arange(300), labelled)
    so_far = LabeledItems([pool[i] for i in labelled], truth[labelled])
    settings = ProjectSettings(strategy="auto", control_share=0)
    context = QueryContext(None, [pool[i] for i in rest], rest, settings, classes=3, labelled=so_far, unlabelled=grown)
    asked = select(context, count=10)
    assert (truth[asked.task_ids] == 2).any()
    labelled += asked.task_ids.tolist()
    found = fit_with_pool(
        Recipe(lambda: MnistCnn(("upright", "across", "cross")), seed=0, hyperparameters=SHORT),
        LabeledItems([pool[i] for i in labelled], truth[labelled]),
        pool,
        grown,
    )
    answers = found.model.probabilities(pool)[:, 0].argmax(axis=1)
    assert macro_f(truth, answers) > 0.9


def test_flipped_labels_cost_little(bars):
    items, targets, embedding = bars
    wrong = known(bars, range(40))
    flipped = wrong.targets.copy()
    flipped[:4] = 1 - flipped[:4]  # a tenth
    found = fit_with_pool(
        Recipe(make, seed=0, hyperparameters=SHORT),
        LabeledItems(wrong.items, flipped),
        items[:240],
        Unlabelled(embedding, TWO),
    )
    answers = found.model.probabilities(items[240:])[:, 0].argmax(axis=1)
    assert (answers == targets[240:]).mean() > 0.85


def test_equal_shares_hold_until_random_labels_contradict_them():
    assert class_prior(4, np.array([0, 0, 1], dtype=np.int64)).tolist() == [0.25] * 4
    assert class_prior(2, np.array([0, 1] * 20, dtype=np.int64)).tolist() == [0.5] * 2
    rare = class_prior(2, np.array([0] * 46 + [1] * 4, dtype=np.int64))
    assert rare == pytest.approx([47 / 52, 5 / 52])


def test_calibration_finds_the_temperature_and_changes_no_answer(bars):
    items, targets, _ = bars
    model = make()
    model.fit(items[:40], targets[:40], seed=0, hyperparameters=SHORT)
    before = model.probabilities(items[100:])[:, 0]
    noisy = LabeledItems(
        items[100:], np.where(np.random.default_rng(0).random(200) < 0.3, 1 - targets[100:], targets[100:])
    )
    model.sharpen(5.0)
    temperature = calibrate(model, noisy)
    after = model.probabilities(items[100:])[:, 0]
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert temperature > 1, "it was far too sure"
    assert evaluate(after, noisy.targets, make().labels).ece < 0.15
    weights, config = model.state()
    np.testing.assert_allclose(
        MnistCnn.from_state(make().labels, weights, config).probabilities(items[100:])[:, 0], after
    )


def test_a_classifier_of_labels_alone_is_calibrated_by_labels_left_out():
    """Two kinds of headline that nobody mixes up: kept small, the weights say 60 %, labels left out say more."""
    items = [f"{'quake destroys village' if i % 2 else 'team wins the cup'} number {i}" for i in range(24)]
    targets = np.arange(24) % 2
    raw = Sentences(("sport", "quake"))
    raw.fit(items, targets, seed=0)
    model, report = fit_labels(Recipe(lambda: Sentences(("sport", "quake")), seed=0), LabeledItems(items, targets))
    assert report.examples == 24
    before, after = raw.probabilities(items)[:, 0], model.probabilities(items)[:, 0]
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert after.max(axis=1).min() > before.max(axis=1).max()


def test_two_labels_of_a_class_tell_nothing_about_its_probabilities():
    items, targets = ["flood", "quake", "cup", "goal", "match"], np.array([0, 0, 1, 1, 1])
    raw = Sentences(("disaster", "sport"))
    raw.fit(items, targets, seed=0)
    model, _ = fit_labels(Recipe(lambda: Sentences(("disaster", "sport")), seed=0), LabeledItems(items, targets))
    np.testing.assert_array_equal(model.probabilities(items), raw.probabilities(items))


@pytest.mark.parametrize(
    ("model", "items"), [(MnistCnn, strokes(8)), (Headlines, [f"story {i} of rain" for i in range(8)])]
)
def test_models_train_on_probabilities_as_on_classes(model, items):
    classes = np.arange(8) % 2
    hard, soft = model(("a", "b")), model(("a", "b"))
    hard.fit(items, classes, seed=0, hyperparameters={"steps": 5})
    soft.fit(items, np.eye(2, dtype=np.float32)[classes], seed=0, hyperparameters={"steps": 5})
    np.testing.assert_allclose(hard.probabilities(items), soft.probabilities(items), atol=1e-4)
    with pytest.raises(ModelError, match="sum to 1"):
        soft.fit(items, np.ones((8, 2), np.float32), seed=0)


def test_a_model_that_never_finds_the_rare_class_scores_less():
    targets = np.array([0] * 22 + [1] * 2)
    never, finds = np.zeros(24, np.int64), np.array([0] * 19 + [1] * 5)
    assert (never == targets).mean() > (finds == targets).mean()
    assert macro_f(targets, finds) > macro_f(targets, never)
    for answers in (never, finds):
        assert macro_f(targets, answers) == pytest.approx(f1_score(targets, answers, average="macro", zero_division=0))


def news(floods, count=300):
    """Texts about two things, of which every so many is about a flood; the classes, and an embedding."""
    targets = (np.arange(count) % floods != 0).astype(np.int64)
    topics = ("flood in the valley", "striker scores again")
    items = [f"{topics[targets[i]]}, report {i}" for i in range(count)]
    return items, targets, PoolEmbedding.learn(ENCODERS["wordllama"], items, seed=0)


def fitted_to_news(floods, of_each, prior=TWO, drawn=None):
    items, targets, embedding = news(floods)
    positions = np.sort(np.concatenate([np.flatnonzero(targets == c)[:n] for c, n in enumerate(of_each)]))
    seen: list[tuple[int, int]] = []
    found = fit_with_pool(
        Recipe(
            lambda: Sentences(("flood", "sport")),
            seed=0,
            hyperparameters={"encoder": "wordllama", "steps": 30},
            progress=lambda done, total: seen.append((done, total)),
        ),
        LabeledItems([items[i] for i in positions], targets[positions]),
        items,
        Unlabelled(embedding, prior),
        drawn=drawn,
    )
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1], "to the end, however many of the trainings that were counted were needed"
    answers = found.model.probabilities(items)[:, 0].argmax(axis=1)
    return found.learnt_from, macro_f(targets, answers)


@pytest.mark.parametrize(
    ("floods", "of_each", "prior", "source"),
    [
        (2, (5, 5), TWO, "pool"),
        (2, (12, 12), TWO, "pool"),
        (20, (12, 12), TWO, "labels"),  # the labels alone find few of what is taken to be half of the pool
        (20, (12, 12), np.array([0.05, 0.95]), "pool"),
        (2, (101, 101), TWO, "pool"),  # no number of labels ends it, only a measurement
    ],
)
def test_a_classifier_over_a_fixed_encoder_learns_from_the_pool_as_long_as_that_helps(floods, of_each, prior, source):
    """Without anything to compare by."""
    learnt_from, score = fitted_to_news(floods, of_each, prior)
    assert learnt_from == source
    assert score > 0.9


def test_drawn_labels_show_that_a_class_is_rare_and_the_pool_finds_it():
    _, targets, _ = news(20)
    drawn = np.array([True] * 30)
    shares = class_prior(2, targets[:30])
    assert shares[0] == pytest.approx(3 / 32)
    learnt_from, score = fitted_to_news(20, (2, 28), shares, drawn=drawn)
    assert learnt_from == "pool"
    assert score > 0.9


class Says:
    """A model that gives each item the class that the item is."""

    def __init__(self, classes):
        self.classes = classes

    def probabilities(self, items):
        return np.eye(self.classes, dtype=np.float32)[np.asarray(items)][:, None]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((50, 50), True),
        ((84, 17), True),  # just above a sixth
        ((84, 16), False),
        ((92, 8), False),
        ((20, 18, 15, 13, 11, 9, 7, 5, 2, 0, 0, 0), True),  # twelve classes, of which a few labels miss some
        ((90, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0), False),
    ],
)
def test_equal_shares_are_given_up_where_nearly_all_is_of_one_class(counts, expected):
    items = np.repeat(np.arange(len(counts)), counts)
    prior = np.full(len(counts), 1 / len(counts))
    assert plausible(prior, Says(len(counts)), items.tolist()) is expected
