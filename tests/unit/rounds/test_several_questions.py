"""Several questions learnt at once: whose mean, whose turn, whose reasons, and what is written for each task."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from ml_backend.errors import ConfigurationError, LabelConfigError
from ml_backend.label_sets import pack
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.labeling_config import parse_label_config, read_label_config
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.publishing import prediction_row
from ml_backend.models.registry import MODELS
from ml_backend.models.several import takes_sets, thresholds_of
from ml_backend.project_settings import ProjectSettings
from ml_backend.records import CONTROL, PINNED, Annotation, Prediction, Project, Task, Wanted
from ml_backend.rounds.examples import divide
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.question_order import QuestionRanking, doubted_most, goes_by_mean, in_turn
from ml_backend.rounds.question_scores import QuestionScores, guesses_beside, with_mean
from ml_backend.rounds.read import warn_of_answers
from ml_backend.rounds.report import Recorder, Report
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.several_questions import check_weights, fit_heads
from ml_backend.rounds.training import train_version
from ml_backend.rounds.workspace import Run, Workspace
from ml_backend.selection.scoring import Scores
from ml_backend.selection.selection import Selection
from ml_backend.store.heads import Head, read_heads, write_heads
from ml_backend.store.library import build_model
from ml_backend.store.project_store import Current, ProjectStore

AB = '<Choice value="a"/><Choice value="b"/>'
TOPIC = f'<Choices name="topic" toName="t">{AB}</Choices>'
STARS = '<Rating name="stars" toName="t" maxRating="3"/>'
OTHER = f'<Image name="i" value="$image"/><Choices name="looks" toName="i">{AB}</Choices>'
TAGS = f'<Choices name="tags" toName="t" choice="multiple">{AB}<Choice value="c"/></Choices>'
KINDS = f'<Taxonomy name="kinds" toName="t" maxUsages="2" leafsOnly="true">{AB}</Taxonomy>'
ALL = f'<View><Text name="t" value="$text"/>{TOPIC}{STARS}{TAGS}{KINDS}</View>'
NOW = datetime(2026, 1, 1, tzinfo=UTC)
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
    return QuestionRanking(head, ids, scores(*doubts, winner=winner), None, own)


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


def test_sets_and_stars_and_single_choices_about_the_same_are_learnt_together():
    read = read_label_config(ALL)
    questions = (read.question, *read.others)
    assert [(each.control, each.multiple) for each in questions] == [
        ("topic", False),
        ("stars", False),
        ("tags", True),
        ("kinds", True),
    ]
    assert read.notes == ('Learnt together: "topic" and "stars" and "tags" and "kinds"',)


def test_one_question_alone_is_as_before():
    read = read_label_config(f'<View><Text name="t" value="$text"/>{TOPIC}</View>')
    assert (read.others, read.notes) == ((), ())


def given_to(question, point):
    """An answer that two of a task's numbers tell."""
    if not question.multiple:
        return question.labels[0] if point[1] > 0 else question.labels[-1]
    return pack([label for label, number in zip(question.labels, point, strict=False) if number > 0], question.labels)


def mixed(tmp_path, wanted, held_out=0):
    """A project of 40 tasks of numbers, of which 30 are answered as a page stores it."""
    asked = read_label_config(ALL, wanted=Wanted(wanted, embedding_field="v"))
    questions = (asked.question, *asked.others)
    tasks = []
    for number, point in enumerate(np.random.default_rng(0).normal(size=(40, 4)).round(3).tolist(), 1):
        data = {"v": point} | ({"split": "evaluation"} if 30 - held_out < number <= 30 else {})
        result = [part | {"id": "p"} for each in questions for part in annotation_result(given_to(each, point), each)]
        answers = (Annotation(number, 1, NOW, result), Annotation(100 + number, 2, NOW, result))[: 1 + (number > 27)]
        tasks.append(Task(number, data, True, answers) if number <= 30 else Task(number, data))
    settings = ProjectSettings(embedding_field="v", check_guessing=False)
    now = Project(7, "7.1", "p", ALL, "", "", 1, len(tasks), 30)
    return RoundProject(
        *(now, ProjectStore(tmp_path, "7.1"), asked.question, settings, divide(tasks, asked.question)),
        *(MediaReader(), MODELS["vectors"]),
        vector_length=4,
        others=tuple((each, divide(tasks, each)) for each in asked.others),
    )


@pytest.mark.parametrize(("wanted", "held_out"), [("topic,stars", 0), ("topic,tags", 9), ("tags,kinds", 9)])
def test_a_head_is_the_model_that_its_question_alone_gets_of_the_same_labels(tmp_path, wanted, held_out):
    project = mixed(tmp_path, wanted, held_out)
    question, pool = project.others[0]
    report = Report(7)
    (learnt,) = fit_heads(project, Recorder(report))
    alone = replace(project, question=question, pool=pool, others=(), items={})
    trained = train_version(alone, Run.begin(Workspace(None, tmp_path), RoundRequest(7)))
    manifest = alone.store.manifest(trained)
    own = build_model(manifest, alone.store.weights(trained))
    items = [np.asarray(item) for item in alone.items.values()]
    assert len(items) >= 30
    np.testing.assert_array_equal(learnt.head.model.probabilities(items), own.probabilities(items))
    assert len(np.unique(own.probabilities(items), axis=0)) > 10, "it learnt"
    assert question.multiple == takes_sets(own) == (question.control in ("tags", "kinds"))
    (detail,) = [step.detail for step in report.steps]
    assert report.beside == [detail]
    assert "100 % agreement on 3 tasks with several answers (" in detail
    if question.multiple:
        none = sum(label == "" for _, label in pool.training)
        assert none > 0
        assert f"{30 - held_out} labels ({none} of none of its choices)" in detail
    if held_out:
        assert f"accuracy {manifest.metrics['accuracy']:.1%}" in detail
        assert not question.multiple or f"macro F {manifest.metrics['f_macro']:.1%}" in detail
    write_heads(tmp_path, "v.auto-0001", [learnt.head])
    (back,) = read_heads(tmp_path, "v.auto-0001")
    assert back.question == question
    for model in (learnt.head.model, back.model):
        np.testing.assert_array_equal(thresholds_of(model), thresholds_of(own))


def test_a_question_that_takes_several_choices_now_is_told_and_learnt_anew(tmp_path):
    project = mixed(tmp_path, "topic,tags")
    (learnt,) = fit_heads(project, Recorder(Report(7)))
    before = replace(learnt.head, question=replace(learnt.head.question, multiple=False))
    for head, told in ((before, ['"tags": answers that were given while one choice was possible']), (learnt.head, [])):
        write_heads(project.store.folder, "v.auto-0001", [head])
        project.store.set_current(Current(None, "v.auto-0001", None))
        report = Report(7)
        fit_heads(project, Recorder(report))
        assert len(report.warnings) == len(told)
        assert all(part in str(text) for part, text in zip(told, report.warnings, strict=True))
        assert report.steps[0].detail.endswith("learnt before") == (head is learnt.head)


def test_a_model_of_one_choice_leaves_out_what_takes_several_and_says_so(tmp_path):
    class One(MODELS["vectors"]):
        takes_several = False

    report = Report(7)
    assert fit_heads(replace(mixed(tmp_path, "topic,tags"), model=One), Recorder(report)) == ()
    assert report.steps[0].detail.endswith("learns one choice per answer, and this question takes several")


def test_tied_answers_to_a_question_beside_the_first_are_told():
    answers = tuple(Annotation(n, n, NOW, annotation_result(str(n), RATING)) for n in (1, 2))
    report = Report(7)
    warn_of_answers(divide([Task(4, {}, True, answers)], RATING), Recorder(report), ' (question "stars")')
    told = '1 tasks have tied answers (question "stars") and are left out until another decides: 4.'
    assert (report.warnings, report.about) == ([told], {}), "no count of the first question's"


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
    tags = Head(parse_label_config(ALL, wanted=Wanted("tags")), None, 1.0, True)
    of_sets = replace(scores(0.5, 0.5, 0.5), sets=np.zeros((3, 3), np.bool_))
    told = doubted_most(chosen, scores(0.1, 0.1, 0.9), 1.0, [QuestionRanking(tags, np.arange(1, 4), of_sets, None)])
    assert told.reasons[2].format() == "tags: most in doubt: b, 20% by the model"


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
    regions = guesses_beside([heard(0.5, 0.5, winner=2), heard(0.5, 0.5, shown=False)])
    prediction = Prediction(1, "a", 0.9, 0.1, "auto", besides=regions[1])
    result = prediction_row(prediction, QUESTION, "v", prelabel=True)["result"]
    assert [(part["from_name"], part["value"]) for part in result] == [
        ("topic", {"choices": ["a"]}),
        ("stars", {"rating": 3}),
    ]
    assert len({part["id"] for part in result}) == 2
    for hidden in (replace(prediction, picked_by=CONTROL), prediction):
        assert prediction_row(hidden, QUESTION, "v", prelabel=hidden is not prediction)["result"] == []
    sets = parse_label_config(ALL, wanted=Wanted("tags"))
    of_sets = replace(scores(0.5, 0.5), sets=np.array([[True, False, True], [False, False, False]]))
    regions = guesses_beside([QuestionScores(Head(sets, None, 1.0, True), np.array([1, 2]), of_sets)])
    assert [[part["value"] for part in regions[task]] for task in (1, 2)] == [[{"choices": ["a", "c"]}], []]
    untrained = replace(prediction, label=None)
    assert len(prediction_row(untrained, QUESTION, "v", prelabel=True)["result"]) == 1
