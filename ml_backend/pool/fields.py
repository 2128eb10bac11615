"""Which columns of a pool a project's tasks hold: what is learnt from, and what else the page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml_backend.errors import ConfigurationError, DataError
from ml_backend.label_studio.config_objects import NUMBERS
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.pool.document import PATH, Pool
from ml_backend.pool.listing import Listing
from ml_backend.pool.source import TEXTS
from ml_backend.pool.tables import named


def learnt_fields(question: ChoiceQuestion) -> tuple[str, ...]:
    """The task fields that a question's model reads, in its order."""
    return tuple(part.field for part in question.parts) or (question.field,)


def check_kind(found: Listing, question: ChoiceQuestion) -> None:
    """See to it that rows of such a pool can be what a project learns from.

    Raises:
        ConfigurationError: the project learns from something else. DataError: it is the wrong pool.
    """
    read = question.parts or (question,)
    if any(part.by_url or part.encoding != "none" for part in read):
        raise ConfigurationError(
            "The project's texts are addresses or encoded (valueType or encoding in the labeling config); rows of a "
            "pool are plain texts. Remove that from the labeling config."
        )
    kinds = {part.object_tag for part in read}
    if NUMBERS in kinds:
        raise ConfigurationError(
            f"The project learns from {question.about} (setting embedding_field); rows of a pool are embedded here, "
            "from what they show. Remove that setting."
        )
    if any(part.markup for part in read) or not kinds <= {"Image", "Text"}:
        raise ConfigurationError(
            f"The project learns from {question.about}; rows of a pool are plain <Text>, or one <Image>."
        )
    if "Image" in kinds and question.parts:
        raise ConfigurationError(
            f"The project learns from {question.about}; of a pool several <Text> can be learnt from together, a "
            "picture only by itself. Name the texts alone in the setting objects, or import the rows as tasks."
        )
    if "Image" in kinds and found.kind != "pictures":
        raise DataError(
            f"The project shows images, and {found.url} holds {found.kind}; name a folder of picture files."
        )
    if "Image" not in kinds and found.kind == "pictures":
        raise DataError(f"The project shows texts, and {found.url} holds pictures; name a table.")


def columns_of(
    question: ChoiceQuestion, shown: Sequence[str], found: Listing, columns: Mapping[str, str], named: Sequence[str]
) -> dict[str, str]:
    """Task field → column of a table, of what is learnt from and of all else that the page shows.

    Args:
        question: what the project asks.
        shown: the fields that the page shows.
        found: the table.
        columns: its columns and their types.
        named: what somebody wants: ``FIELD=COLUMN``, or the column of the question's own field.

    Raises:
        DataError: a field has no column; the message lists those with texts.
    """
    fields = list(dict.fromkeys((*learnt_fields(question), question.field, *shown)))
    if found.kind == "pictures":
        if more := [field for field in fields if field != question.field]:
            raise DataError(
                f"The page shows {_listed(more)} beside the picture, and a folder of pictures has no such column. "
                "Take the object out of the labeling config."
            )
        return {question.field: PATH}
    wanted: dict[str, str] = {}
    for each in named:
        field, is_pair, column = each.partition("=")
        wanted |= {field: column} if is_pair and field in fields else {question.field: each}
    return {field: wanted.get(field) or _column(field, len(fields) == 1, columns, found.url) for field in fields}


def check_question(pool: Pool, question: ChoiceQuestion) -> None:
    """See to it that a project still learns from the fields that its pool was connected for.

    Raises:
        DataError: it does not; the message says what to do.
    """
    now, before = learnt_fields(question), pool.learnt_from
    if now != before:
        raise DataError(
            f"The project learns from {_listed(now)} now, and the pool at {pool.url} was connected when that was "
            f"{_listed(before)} (the labeling config, or the setting objects, has changed). Connect the pool again."
        )


def _column(field: str, is_alone: bool, columns: Mapping[str, str], url: str) -> str:
    """The column of a field: the one of its name, else, where one field is wanted, the only one with texts."""
    if field in columns:
        return field
    texts = [name for name, kind in columns.items() if kind in TEXTS]
    if is_alone and len(texts) == 1:
        return texts[0]
    option = "--column" if is_alone else f"--column {field}="
    raise DataError(
        f"{url} has no column {field!r}, which the labeling config shows; columns with texts: "
        f"{named(texts)}. Name one with {option}."
    )


def _listed(fields: Sequence[str]) -> str:
    return ", ".join(f'"${field}"' for field in fields)
