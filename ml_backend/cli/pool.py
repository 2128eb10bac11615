"""A pool outside Label Studio: tables or pictures on a disk or in a bucket, of which people see only the best rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, new_app, tell_errors, warn
from ml_backend.cli.pool_hold_out import hold_out
from ml_backend.errors import StoreError
from ml_backend.files import size_in_words

if TYPE_CHECKING:
    from ml_backend.config import Settings
    from ml_backend.pool.connecting import Looked
    from ml_backend.pool.document import Pool
    from ml_backend.pool.status import Status
    from ml_backend.store.project_store import ProjectStore

PlaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="A Parquet, CSV or JSON Lines file, a folder of them or of pictures, or a pattern: a path, or s3://, "
        "gs://, az://, https://.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeepOption = Annotated[
    bool, typer.Option("--keep-vectors", help="Keep the vectors: the same rows are in another place now.")
]

app = new_app()
app.command("hold-out")(hold_out)


@app.callback(help=__doc__)
def main() -> None:
    """Only names the commands."""


@app.command("connect")
@tell_errors
def connect_pool(
    project: ProjectOption,
    place: PlaceArgument,
    id_column: Annotated[str, typer.Option("--id", help="Column that identifies each row.")] = "id",
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            help="Column that is shown; if the page shows several fields, FIELD=COLUMN for each. [default: columns "
            "with the fields' names]",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at the pool, but remember nothing.")] = False,
    keep_vectors: KeepOption = False,
    url: UrlOption = None,
) -> None:
    """Look at a pool, try its first rows, and remember it. Nothing is embedded or imported yet.

    Credentials of a bucket come from the environment (AWS_ACCESS_KEY_ID and so on), never from the address.
    """
    from ml_backend.label_studio.config_objects import shown_fields
    from ml_backend.label_studio.config_tree import read_tree
    from ml_backend.pool import connecting
    from ml_backend.rounds.asked import read_asked
    from ml_backend.rounds.encoder_preview import settings_of
    from ml_backend.store.registry import stores_of

    settings, client = connect(url)
    _prepare(settings)
    there = client.project(project)
    store = stores_of(settings).get(there.uid)
    own = store.extra_params()
    known = (
        settings.project_settings(own, where=f"Project {project}") if own else settings_of(settings, client, project)
    )
    question = read_asked(there.label_config, project, store, known.wanted).question
    shown = shown_fields(read_tree(there.label_config))
    wanted = connecting.WantedColumns(id_column, column or (), shown)
    looked = connecting.look(place, question, known, store, wanted)
    _show(looked)
    if dry_run:
        console.print("Dry run: nothing was kept.")
        return
    _remember(store, looked.pool, keep_vectors=keep_vectors)
    store.note_question(question, there.title)
    console.print(f"Connected to project {project}. Next: lsal pool embed --project {project}", soft_wrap=True)


@app.command()
@tell_errors
def status(project: ProjectOption, as_json: JsonOption = False) -> None:
    """Say where the pool is, how much of it is embedded, and how far a running embedding has come."""
    from ml_backend.pool.status import status as status_of

    _, store = _store(project)
    found = status_of(store)
    if as_json:
        console.print_json(json.dumps(asdict(found) if found else None))
    elif found is None:
        console.print(
            f"No pool is connected to project {project}: lsal pool connect --project {project} URL --id COLUMN"
        )
    else:
        for line in _told(found):
            console.print(line, highlight=False, soft_wrap=True, markup=False)


@app.command()
@tell_errors
def disconnect(project: ProjectOption, keep_vectors: KeepOption = False) -> None:
    """Forget the pool and delete its vectors. Its rows, and the tasks that were made from them, stay."""
    from ml_backend.pool.connecting import forget_vectors
    from ml_backend.pool.document import disconnect as forget
    from ml_backend.pool.document import required

    _, store = _store(project)
    pool = required(store)
    forget(store)
    deleted = False if keep_vectors else forget_vectors(store)
    console.print(
        f"Project {project} has no pool any more; {pool.url} is as it was"
        + (", its vectors are deleted." if deleted else "."),
        highlight=False,
        soft_wrap=True,
    )


@app.command()
@tell_errors
def embed(
    project: ProjectOption,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes. [default: one per core]", show_default=False)
    ] = 0,
    retry_bad: Annotated[bool, typer.Option("--retry-bad", help="Read again the rows that could not be read.")] = False,
    allow_gone: Annotated[
        bool, typer.Option("--allow-gone", help="Remove rows that are gone, even if these are most of them.")
    ] = False,
) -> None:
    """Give each row without a vector one. It may be killed at any moment, and goes on where it was."""
    from ml_backend.cli.pool_progress import Speed
    from ml_backend.pool.embedding_step import embed_pool

    settings, store = _store(project)
    with Speed("Embedding") as speed:
        done, name = embed_pool(
            settings, store, workers=workers, retry_bad=retry_bad, allow_gone=allow_gone, progress=speed
        )
    console.print(
        f"{done.rows:,} rows; {done.new:,} new vectors of {name} in {done.seconds:.0f} s"
        + (f" ({done.new / done.seconds:,.0f} rows/s)" if done.new and done.seconds else "")
        + (f"; {done.gone:,} rows are gone" if done.gone else "")
        + (f"; {done.changed:,} rows had changed since they were embedded" if done.changed else "")
        + ".",
        highlight=False,
        soft_wrap=True,
    )
    if done.bad:
        warn(f"{done.bad:,} rows cannot be read; lsal pool status says why.")


@app.command()
@tell_errors
def predict(
    project: ProjectOption,
    out: Annotated[str, typer.Option("--out", help="New folder for Parquet files: a path, or s3:// and so on.")],
    version: Annotated[str | None, typer.Option(help="Name or number. [default: the one in use]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write answer, probability and uncertainty of every row, and say how many rows fall below certain probabilities.

    With several questions, each has columns of its own, by the version in use.
    """
    from ml_backend.cli.pool_progress import Speed
    from ml_backend.pool.prediction_step import predict_pool

    settings, store = _store(project)
    with Speed("Predicting") as speed:
        told = predict_pool(settings, store, out, version=version, progress=speed)
    if as_json:
        console.print_json(json.dumps(asdict(told)))
        return
    lines = [f"{told.rows:,} rows by {told.version} in {told.out}" + _left_out(told.left_out)]
    lines += [f"{told.version} is {told.guesses}."] if told.guesses else []
    for name, counts in (("", told), *told.beside.items()):
        lines += [f"{name}:"] if name else []
        lines += [f"  {label}: {count:,}" for label, count in counts.labels.items()]
        lines += [f"  probability below {limit:.0%}: {count:,} rows" for limit, count in counts.below.items()]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _left_out(count: int) -> str:
    return f"; {count:,} that cannot be read are left out" if count else ""


def _prepare(settings: Settings) -> None:
    """Make this process compute as the settings say."""
    from ml_backend import hardware
    from ml_backend.encoders import folders
    from ml_backend.pool import engine

    hardware.use(settings.hardware())
    folders.allow(folders.parse_folders(settings.encoder_folders))
    engine.use(settings.ray_address)


def _store(project: int) -> tuple[Settings, ProjectStore]:
    from ml_backend.config import load_settings
    from ml_backend.store.registry import stores_of

    settings = load_settings()
    _prepare(settings)
    store = stores_of(settings).open(project)
    if store is None:
        raise StoreError(
            f"{settings.model_dir} knows no project {project}: lsal pool connect --project {project} URL --id COLUMN"
        )
    return settings, store


def _remember(store: ProjectStore, pool: Pool, *, keep_vectors: bool) -> None:
    from ml_backend.pool.connecting import connect as connect_to
    from ml_backend.pool.document import connected

    before = connected(store)
    deleted = connect_to(store, pool, keep_vectors=keep_vectors)
    if before is not None and before.url != pool.url:
        warn(f"It takes the place of {before.url}. Tasks of that one count as rows of this one that have their ids.")
    if deleted:
        warn("The vectors of the pool before were deleted.")


def _show(looked: Looked) -> None:
    from ml_backend.pool.engine import cores
    from ml_backend.pool.listing import passed_over
    from ml_backend.pool.tables import with_types

    pool = looked.pool
    lines = [
        f"{pool.url}: {pool.rows:,} rows in {looked.files:,} file{'s' * (looked.files != 1)} ({pool.kind}, "
        f"{size_in_words(pool.size)})",
        f"Columns: {with_types(looked.columns, pool.kind)}",
        f"Ids: {pool.id_column}; shown: "
        + ", ".join(f"{field} from {column}" for field, column in pool.fields.items()),
        f"Encoder: {looked.encoder.name} ({looked.why})",
        f"Vectors: {size_in_words(looked.bytes_needed)}; embedding takes about {_duration(looked.seconds(cores()))} on "
        f"{cores()} cores",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if looked.others:
        warn(f"Files that are passed over: {passed_over(looked.others)}")
    if total := sum(looked.bad.values()):
        warn(f"Of the first {looked.sampled:,} rows {total:,} cannot be read:")
        for reason, count in sorted(looked.bad.items(), key=lambda pair: -pair[1])[:5]:
            warn(f"  {count:,}: {reason}")


def _told(found: Status) -> list[str]:
    pool = found.pool
    lines = [
        f"{pool.url} ({pool.kind}): {pool.rows:,} rows, connected {pool.connected_at}",
        f"Ids: {pool.id_column}; shown: "
        + ", ".join(f"{field} from {column}" for field, column in pool.fields.items()),
    ]
    for each in found.embeddings:
        bad = f", {each.bad:,} that cannot be read" if each.bad else ""
        lines.append(
            each.problem or f"Embedded by {each.encoder}: {each.rows:,} rows{bad} ({size_in_words(each.size)})"
        )
        lines += [f"  {count:,}: {reason}" for reason, count in each.reasons]
    if not found.embeddings:
        lines.append("Nothing is embedded yet: lsal pool embed")
    if found.state is not None and not found.state.finished:
        state = found.state
        left = f", {_duration(state.seconds_left)} left" if state.seconds_left is not None else ""
        speed = f"{state.rows_per_second:,.0f} rows/s{left}"
        lines.append(f"Last embedding: {state.done:,} of {state.rows:,} rows at {state.at} ({speed})")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
