"""Several questions learnt at once: whose mean, whose turn, whose reasons, and what is written for each task."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from ml_backend.errors import ConfigurationError, LabelConfigError
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.labeling_config import parse_label_config, read_label_config
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.publishing import prediction_row
from ml_backend.models.registry import MODELS
from ml_backend.project_settings import ProjectSettings
from ml_backend.records import CONTROL, PINNED, Annotation, Prediction, Project, Task, Wanted
from ml_backend.rounds.examples import divide
from ml_backend.rounds.report import Recorder, Report
from ml_backend.rounds.said_beside import besides, with_mean
from ml_backend.rounds.several_questions import Heard, check_weights, doubted_most, fit_heads, goes_by_mean, in_turn
from ml_backend.rounds.training import train_version
from ml_backend.rounds.workspace import RoundProject, Workspace
from ml_backend.selection.scoring import Scores
from ml_backend.selection.selection import Selection
from ml_backend.store.heads import Head
from ml_backend.store.library import build_model
from ml_backend.store.project_store import ProjectStore

AB = '<Choice value="a"/><Choice value="b"/>'
TOPIC = f'<Choices name="topic" toName="t">{AB}</Choices>'
STARS = '<Rating name="stars" toName="t" maxRating="3"/>'
OTHER = f'<Image name="i" value="$image"/><Choices name="looks" toName="i">{AB}</Choices>'
XML = f'<View><Text name="t" value="$text"/>{TOPIC}{STARS}{OTHER}</View>'
QUESTION = parse_label_config(XML, wanted=Wanted("topic"))
RATING = parse_label_config(XML, wanted=Wanted("stars"))


def scores(*doubts, winner=0):
    count = len(doubts)
    return Scores(
        np.full(count, winner),
        np.full(count, 0.7),
        np.full(count, 1),
        np.full(count, 0.2),
        np.array(doubts, dtype=np.float64),
    )


def heard(*doubts, weight=1.0, shown=True, order=None, reasons=None, winner=0):
    """What a head of the question "stars" says about tasks 1, 2, 3 …"""
    ids = np.arange(1, len(doubts) + 1)
    head = Head(RATING, None, weight, shown)
    own = None if order is None else selection(order, reasons=reasons)
    return Heard(head, ids, scores(*doubts, winner=winner), None, own)


def selection(ids, by=None, reasons=None):
    return Selection(np.array(ids), tuple(by or ["auto"] * len(ids)), np.linspace(1, 0, len(ids)), reasons or {})


# --- what is learnt together ----------------------------------------------------------------------------------------


def test_questions_about_the_same_are_learnt_together():
    read = read_label_config(XML)
    assert [read.question.control, *(each.control for each in read.others)] == ["topic", "stars"]
    assert 'Learnt: "topic" and "stars"; asked too, but not learnt: "looks" (<Choices>)' in read.notes[0]


def test_the_setting_names_several_in_its_own_order():
    read = read_label_config(XML, wanted=Wanted("stars, topic"))
    assert (read.question.control, read.others[0].control) == ("stars", "topic")
    assert read_label_config(XML, wanted=Wanted("topic")).others == ()
    led = read_label_config(XML).led_by("stars")
    assert (led.question.control, [each.control for each in led.others]) == ("stars", ["topic"])
    assert read_label_config(XML).led_by("gone") is None


@pytest.mark.parametrize(
    ("wanted", "reason"), [("topic,gone", 'no question named "gone"'), ("topic,looks", "cannot be learnt together")]
)
def test_what_cannot_be_learnt_together(wanted, reason):
    with pytest.raises(LabelConfigError, match=reason):
        read_label_config(XML, wanted=Wanted(wanted))


def test_one_question_alone_is_as_before():
    read = read_label_config(f'<View><Text name="t" value="$text"/>{TOPIC}</View>')
    assert (read.others, read.notes) == ((), ())


def test_a_head_is_the_model_that_its_question_alone_gets_of_the_same_labels(tmp_path):
    wanted = Wanted("topic,stars", embedding_field="v")
    asked = read_label_config(XML, wanted=wanted)
    (stars,) = asked.others
    points = np.random.default_rng(0).normal(size=(40, 4)).round(3)
    tasks = []
    for number, point in enumerate(points.tolist(), 1):
        result = [*annotation_result("ab"[point[0] > 0], asked.question), *annotation_result("13"[point[1] > 0], stars)]
        answer = Annotation(number, 1, datetime(2026, 1, 1, tzinfo=UTC), result)
        tasks.append(Task(number, {"v": point}, True, (answer,)) if number <= 30 else Task(number, {"v": point}))
    settings = ProjectSettings(embedding_field="v", check_guessing=False)
    now = Project(7, "7.1", "p", XML, "", "", 1, len(tasks), 30)
    project = RoundProject(
        *(now, ProjectStore(tmp_path, "7.1"), asked.question, settings, divide(tasks, asked.question)),
        *(MediaReader(), MODELS["vectors"]),
        vector_length=4,
        others=((stars, divide(tasks, stars)),),
    )
    (learnt,) = fit_heads(project, Recorder(Report(7)))
    alone = replace(project, question=stars, pool=project.others[0][1], others=(), items={})
    trained = train_version(alone, Workspace(None, tmp_path), Recorder(Report(7)))
    own = build_model(alone.store.manifest(trained), alone.store.weights(trained))
    items = [np.asarray(item) for item in alone.items.values()]
    assert len(items) == 30
    np.testing.assert_array_equal(learnt.head.model.probabilities(items), own.probabilities(items))
    assert not np.array_equal(own.probabilities(items)[:, 0, 0], own.probabilities(items)[:, 0, 2]), "it learnt"


# --- the order ------------------------------------------------------------------------------------------------------


def test_the_mean_is_of_all_questions_by_their_weights():
    mean = with_mean(scores(0.0, 1.0), 1.0, [heard(1.0, 0.0, weight=3.0)])
    np.testing.assert_allclose(mean.uncertainty, [0.75, 0.25])
    assert goes_by_mean("entropy")
    assert not goes_by_mean("auto")
    assert not goes_by_mean("entropy:0.5,random:0.5")


def test_questions_take_turns_and_control_tasks_keep_their_places():
    first = selection([1, 9, 2, 3], ["auto", CONTROL, "auto", "auto"], {1: "one", 2: "two"})
    merged = in_turn(first, 1.0, [heard(*[0.5] * 9, order=[9, 7, 1], reasons={7: "{0} or {1}"})])
    assert merged.task_ids.tolist() == [1, 9, 7, 2]
    assert merged.picked_by == ("auto", CONTROL, "auto", "auto")
    assert merged.reasons[7].format("x") == "stars: 1 or 2"
    assert (np.diff(merged.utility) < 0).all()


def test_weights_are_shares_of_the_turns():
    first = selection(range(1, 9))
    merged = in_turn(first, 1.0, [heard(*[0.5] * 20, order=range(11, 19), weight=3.0)])
    assert sum(task > 10 for task in merged.task_ids.tolist()) == 6
    none = in_turn(first, 1.0, [heard(*[0.5] * 20, order=range(11, 19), weight=0.0)])
    assert none.task_ids.tolist() == list(range(1, 9))


def test_the_same_task_is_asked_once_and_pinned_ones_come_first():
    first = selection([5, 1, 2], [PINNED, "auto", "auto"])
    merged = in_turn(first, 1.0, [heard(*[0.5] * 5, order=[5, 1, 2])])
    assert merged.task_ids.tolist() == [5, 1, 2]
    assert len(in_turn(selection([]), 1.0, [heard(order=[])])) == 0


def test_the_reason_is_of_the_question_that_doubts_most():
    chosen = selection([1, 2, 3], [CONTROL, "entropy", "entropy"], {2: "mine", 3: "mine"})
    told = doubted_most(chosen, scores(0.1, 0.1, 0.9), 1.0, [heard(0.5, 0.5, 0.5)])
    assert told.reasons[2].format() == "stars: 1 (70%) or 2 (20%) by the model"
    assert told.reasons[3] == "mine"
    assert 1 not in told.reasons


def test_weights_of_questions_that_are_not_learnt_are_an_error():
    def project(**weights):
        return SimpleNamespace(
            question=QUESTION, others=((RATING, None),), settings=ProjectSettings(question_weights=weights)
        )

    check_weights(project(topic=2, stars=0))
    with pytest.raises(ConfigurationError, match="names 'tone'; learnt are 'topic', 'stars'"):
        check_weights(project(tone=1))
    with pytest.raises(ConfigurationError, match="all 0"):
        check_weights(project(topic=0, stars=0))
    with pytest.raises(ConfigurationError, match="must be numbers from 0"):
        ProjectSettings().override({"question_weights": {"topic": -1}}, where="Here")


# --- what is written ------------------------------------------------------------------------------------------------


def test_guesses_of_all_questions_are_written_with_ids_of_their_own():
    regions = besides([heard(0.5, 0.5, winner=2), heard(0.5, 0.5, shown=False)])
    prediction = Prediction(1, "a", 0.9, 0.1, "auto", besides=regions[1])
    result = prediction_row(prediction, QUESTION, "v", prelabel=True)["result"]
    assert [(part["from_name"], part["value"]) for part in result] == [
        ("topic", {"choices": ["a"]}),
        ("stars", {"rating": 3}),
    ]
    assert len({part["id"] for part in result}) == 2
    for hidden in (replace(prediction, picked_by=CONTROL), prediction):
        assert prediction_row(hidden, QUESTION, "v", prelabel=hidden is not prediction)["result"] == []
    untrained = replace(prediction, label=None)
    assert len(prediction_row(untrained, QUESTION, "v", prelabel=True)["result"]) == 1
