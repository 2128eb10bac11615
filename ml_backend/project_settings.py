"""What can differ from project to project, as one table of names, defaults and help; `config` holds the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_backend.encoders.registry import AUTO, ENCODERS
from ml_backend.errors import ConfigurationError
from ml_backend.records import Wanted
from ml_backend.regions.doubt import Doubt, Missing
from ml_backend.setting_errors import explain
from ml_backend.setting_kinds import (
    ClassShares,
    Embedding,
    Finite,
    Hyperparameters,
    ImageModel,
    QuestionWeights,
    Strategy,
    TextModel,
)
from ml_backend.strategies.registry import STRATEGIES

LARGEST_QUEUE = 100_000


class ProjectSettings(BaseModel):
    """What can differ from project to project."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(
        "",
        max_length=1000,
        description="name of the control in the labeling config that is learnt (its `name`), or several with commas "
        "between them; unset: all that can be learnt",
    )
    question_weights: QuestionWeights = Field(
        default_factory=dict,
        max_length=100,
        description="how much each question counts in the order if several are learnt; unset: all alike",
    )
    objects: str = Field(
        "",
        max_length=1000,
        description="names of the objects that are learnt from, with commas between them, such as a text and a "
        "picture; unset: the one that the question is about (its `toName`)",
    )
    embedding_field: str = Field(
        "",
        max_length=1000,
        description="task data field with a list of numbers, made by an encoder of your own: learnt from in place of "
        "what the question is about, which may then be anything; unset: none",
    )
    strategy: Strategy = Field(
        "auto",
        max_length=1000,
        description="query strategy, or a mixture such as entropy:0.8,random:0.2: " + ", ".join(STRATEGIES),
    )
    samples: int = Field(20, ge=2, le=1000, description="dropout passes of the strategies that need them")
    queue_size: int = Field(200, ge=1, le=LARGEST_QUEUE, description="how many tasks a queue holds")
    seed: int = Field(0, ge=0, lt=2**32, description="fixes training, dropout passes, random order and ties")
    control_share: float = Field(
        0.1,
        ge=0,
        le=0.5,
        allow_inf_nan=False,
        description="share of each queue drawn at random, without a pre-annotation; the rest is measured against it",
    )
    balance: bool = Field(
        False, description="spread each queue over the model's guesses, classes with the fewest labels first"
    )
    prelabel: bool = Field(True, description="show the model's guess to the annotator as a pre-annotation")
    check_guessing: bool = Field(
        True,
        description="if a model does no better than always guessing the most frequent class, do not show its guesses, "
        "and let the order cover the pool instead",
    )
    promote_margin: float | None = Field(
        0.02,
        ge=0,
        le=1,
        description="a new model that loses more accuracy than this is not served; null: always served",
    )
    train_after_labels: int = Field(10, ge=1, le=1_000_000, description="new labels that start a round")
    train_after_seconds: float = Field(
        60.0, ge=0, le=30 * 86400, description="seconds after the first change at which a round starts at the latest"
    )
    recheck: int = Field(
        0, ge=0, le=50, description='doubtful annotations in the Data Manager tab "Re-check"; 0: no tab'
    )
    text_model: TextModel = Field(
        "auto",
        description="sentences (pretrained encoders), headlines (n-grams, any language) or another model for texts; "
        "auto: the first that is installed",
    )
    image_model: ImageModel = Field(
        "auto",
        description="mnist_cnn (small grey pictures such as digits), photos (a pretrained encoder) or another "
        "model of images; auto: measured on the project's labels, and until there are enough by the pictures' looks",
    )
    learn_from_pool: bool = Field(
        True,
        description="embed the open tasks, and let models learn from them too where that is better than learning from "
        "the labels alone",
    )
    pool_take_back: bool = Field(
        False,
        description="with a pool outside Label Studio: delete open tasks that were in no order of the last hour; "
        "otherwise they stay",
    )
    instant: bool = Field(
        True, description="between two rounds, let each answer change what comes next (of what auto chose)"
    )
    embedding: Embedding = Field(
        AUTO, description="what embeds tasks without labels; auto: the best that is there: " + ", ".join(ENCODERS)
    )
    embedding_options: dict[str, Finite] = Field(
        default_factory=dict,
        max_length=20,
        description="of the embedding; of gradients the largest distortions that leave a label as it is: rotation "
        "(degrees), shear, scale, shift (shares)",
    )
    class_shares: ClassShares = Field(
        default_factory=dict,
        description="expected share of each label among the tasks; unset: equal, until randomly drawn labels "
        "contradict that",
    )
    learn_from_names: bool = Field(
        True,
        description="for texts, let the names of the classes count as a few labels, as far as the labels agree with "
        "that",
    )
    class_descriptions: dict[str, str] = Field(
        default_factory=dict,
        description="label → what belongs to it, in a few words; unset: the hint of its Choice, else its name",
    )
    predictions_from: str = Field(
        "",
        max_length=1000,
        description="of the strategy predictions: the model_version in Label Studio that it goes by; unset: the newest "
        "prediction of each task that is not ours",
    )
    predictions_doubt: Doubt = Field(
        "mean",
        description="of the strategy predictions: how it combines the regions' scores. lowest, mean, highest: 1 minus "
        "that score; entropy: over the labels that a region could have; count: how far the number of regions is from "
        "the usual one",
    )
    predictions_missing: Missing = Field(
        "first",
        description="of the strategy predictions: where tasks without a known doubt go (no prediction, or none with a "
        "score): first, last, or by chance among the others",
    )
    set_uncertainty: Literal["mean", "largest"] = Field(
        "mean",
        description="if an answer has several choices: whether an item's uncertainty is the mean of its classes' "
        "uncertainties, or the largest",
    )
    map: bool = Field(True, description="draw a map of the pool after each round in the background, for the dashboard")
    hyperparameters: Hyperparameters = Field(default_factory=dict, description="passed to the model's training")

    @property
    def wanted(self) -> Wanted:
        """What they say about the labeling config."""
        return Wanted(self.question, self.objects, self.embedding_field)

    def override(self, changes: Mapping[str, Any] | None, *, where: str) -> Self:
        """A copy with some values changed; ``where`` tells the user which place to mend.

        Raises:
            ConfigurationError: an unknown name or an invalid value.
        """
        try:
            return self.model_validate({**self.model_dump(), **(changes or {})})
        except ValidationError as exc:
            raise ConfigurationError(f"{where}: {explain(exc, type(self).model_fields)}") from exc
