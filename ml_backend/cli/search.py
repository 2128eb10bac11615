"""Find tasks by words, by likeness, and by label, prediction or state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ml_backend.cli.common import ProjectOption, console, new_app, tell_errors
from ml_backend.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from ml_backend.config import Settings
    from ml_backend.dashboard.reading.search import Found
    from ml_backend.store.project_store import ProjectStore

WordsOption = Annotated[str, typer.Option("--words", help='Words that a task must all contain; "a phrase" in quotes.')]
LikeOption = Annotated[
    int, typer.Option("--like", min=0, help="Number of a task: finds the tasks most like it.", show_default=False)
]
TextOption = Annotated[str, typer.Option("--text", help="A text: finds the tasks most like it.")]
LabelOption = Annotated[str, typer.Option("--label", help="The label that a task has.")]
GuessOption = Annotated[str, typer.Option("--guess", help="What the served version guesses.")]
LeastOption = Annotated[str, typer.Option("--least", help="Lowest probability of the guess, in percent.")]
MostOption = Annotated[str, typer.Option("--most", help="Highest probability of the guess, in percent.")]
StateOption = Annotated[
    str, typer.Option("--state", help="One of: open, queued, answered, skipped, dropped, evaluation.")
]
NearestOption = Annotated[int, typer.Option("--nearest", min=1, help="How many to find by likeness.")]

app = new_app()


@app.command(help=__doc__)
@tell_errors
def search(
    project: ProjectOption,
    words: WordsOption = "",
    like: LikeOption = 0,
    text: TextOption = "",
    label: LabelOption = "",
    guess: GuessOption = "",
    least: LeastOption = "",
    most: MostOption = "",
    state: StateOption = "",
    nearest: NearestOption = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ids: Annotated[bool, typer.Option("--ids", help="Print only the numbers of the tasks.")] = False,
) -> None:
    """Find tasks in the copy that rounds keep in MODEL_DIR; Label Studio is not asked."""
    from ml_backend.config import load_settings
    from ml_backend.dashboard.reading.common import shown_items
    from ml_backend.dashboard.reading.search import row_of

    store = known_store(load_settings(), project)
    asked = asked_for(
        nearest,
        words=words,
        like=str(like or ""),
        text=text,
        label=label,
        guess=guess,
        least=least,
        most=most,
        state=state,
    )
    found = found_in(load_settings(), store, asked)
    if ids:
        console.print(",".join(str(each.id) for each in found.tasks), highlight=False, soft_wrap=True)
        return
    items = shown_items(store, [each.id for each in found.tasks])
    rows = [row_of(each, found.likeness) | {"item": items.get(each.id)} for each in found.tasks]
    if as_json:
        console.print_json(json.dumps(rows))
        return
    for row in rows:
        console.print(Text(_line(row)), highlight=False, soft_wrap=True)
    if found.without_vector:
        console.print(f"It is not known how similar {found.without_vector:,} more tasks are.", highlight=False)


def asked_for(nearest: int, **fields: str) -> dict[str, str]:
    """The fields that are filled in, under the names that the search page has in its address."""
    filled = {name: value for name, value in fields.items() if value}
    return filled | {"nearest": str(nearest)} if filled else {}


def known_store(settings: Settings, project: int) -> ProjectStore:
    """The project's store, with a copy of its tasks.

    Raises:
        StoreError: this machine has none.
    """
    from ml_backend.store.registry import stores_of

    store = stores_of(settings).open(project)
    if store is None or not store.task_cache_path.exists():
        raise StoreError(
            f"{settings.model_dir} has no copy of the tasks of project {project}: a round makes it, on the machine "
            f"where rounds run; lsal sync --project {project}."
        )
    return store


def found_in(settings: Settings, store: ProjectStore, asked: Mapping[str, str]) -> Found:
    """The tasks that are asked for.

    Raises:
        ConfigurationError: nothing is asked for, or something malformed.
    """
    from ml_backend.dashboard.reading.search import find
    from ml_backend.encoders import feature_store

    if not asked:
        raise ConfigurationError("Say what to look for, such as --words rain, --like 7 or --state open.")
    feature_store.use(settings.model_dir)
    where = f"Project {store.uid}"
    return find(store, settings.project_defaults().override(store.extra_params(), where=where), asked)


def _line(row: Mapping[str, Any]) -> str:
    told = [f"{row['task_id']}", row["state"]]
    told += [f"label {row['label']}"] if row["label"] is not None else []
    told += [f"guess {row['guess']} ({row['probability']:.0%})"] if row["guess"] is not None else []
    told += [f"alike {row['likeness']:.0%}"] if row["likeness"] is not None else []
    text = (row["item"] or {}).get("text")
    return "  ".join([*told, *([" ".join(text.split())[:120]] if text else [])])
