"""What the small model of texts makes of texts."""

import numpy as np
import pytest
from support.examples import sentences

from ml_backend.errors import BadItemError
from ml_backend.evaluation.metrics import evaluate
from ml_backend.models.headlines import Headlines
from ml_backend.models.texts import MAX_CHARACTERS
from ml_backend.simulation.headline_files import load_headlines


@pytest.mark.parametrize("raw", ["", " \n\t ", b"bytes", None, 3])
def test_no_text(raw):
    with pytest.raises(BadItemError, match="text"):
        Headlines.read_item(raw)


def test_text_is_stripped_and_cut():
    assert Headlines.read_item("  Fire crews \n") == "Fire crews"
    assert len(Headlines.read_item("word " * MAX_CHARACTERS)) == MAX_CHARACTERS


@pytest.mark.parametrize(
    "texts",
    [
        [
            "洪水が町を襲った",
            "川の洪水で避難",
            "大洪水の被害",
            "サッカーの試合結果",
            "監督がサッカーを語る",
            "サッカー代表",
        ],
        ["наводнение в городе", "наводнения на реке", "жертвы наводнения", "футбольный матч", "футбол", "футбола"],
        ["น้ำท่วมเมือง", "น้ำท่วมใหญ่", "เหตุน้ำท่วม", "ฟุตบอลโลก", "ทีมฟุตบอล", "นักฟุตบอล"],
    ],
    ids=["ja", "ru", "th"],
)
def test_other_languages_share_what_they_share(texts):
    """Trained on the outer four, the middle two are told apart by their parts alone."""
    model = Headlines(("flood", "football"))
    model.fit([texts[i] for i in (0, 1, 4, 5)], np.array([0, 0, 1, 1]), seed=0)
    assert model.probabilities([texts[2], texts[3]])[:, 0].argmax(axis=1).tolist() == [0, 1]


def test_text_without_known_parts_is_uncertain():
    model = Headlines(("flood", "football"))
    items, targets = sentences(40)
    model.fit(items, targets, seed=0)
    known, unknown, signs = model.probabilities(["storm river rescue", "zyxw qqq", "!"])[:, 0].max(axis=1)
    assert known > 0.8
    assert max(unknown, signs) < 0.7


def test_rare_class_on_real_headlines(shared_data):
    """After 10 disasters among 95 headlines a model that always says "no" has an F-score of 0 and an AUC of 0.5."""
    data = load_headlines(shared_data)
    labels = ("not related", "related")
    model = Headlines(labels)
    targets = np.array([labels.index(item.label) for item in data.training])
    model.fit([item.text for item in data.training], targets, seed=0)
    p = model.probabilities([item.text for item in data.evaluation])[:, 0]
    metrics = evaluate(p, np.array([labels.index(item.label) for item in data.evaluation]), labels, "related")
    assert metrics.n == 1200
    assert metrics.auc > 0.68
    assert metrics.f_positive > 0.25
