"""What a project's loop is worth: live accuracy, labels saved against random, the outlook, the classes it finds.

Reads what the last round wrote down, and counts the answers that are known on this machine: all of them while a server
runs, otherwise those of the last round. Label Studio is not asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_backend.cli.common import ProjectOption, console, new_app, tell_errors
from ml_backend.errors import StoreError
from ml_backend.records import CONTROL

if TYPE_CHECKING:
    from rich.table import Table

app = new_app()


@app.command(help=__doc__)
@tell_errors
def measures(
    project: ProjectOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model_dir: Annotated[Path | None, typer.Option(help="Folder of model versions. [default: MODEL_DIR]")] = None,
) -> None:
    """Show a project's measures."""
    from ml_backend.config import load_settings
    from ml_backend.rounds.measures import present
    from ml_backend.store.registry import stores_of

    settings = load_settings(model_dir=model_dir)
    store = stores_of(settings).open(project)
    found = present(store) if store else {}
    if not found:
        raise StoreError(
            f"No round of project {project} is known in {settings.model_dir}; "
            f"run lsal sync --project {project} --train."
        )
    if as_json:
        console.print_json(json.dumps(found))
        return
    for line in lines(found):
        console.print(line, highlight=False, soft_wrap=True)
    if any(found["classes"].values()):
        console.print(_class_table(found["classes"]))


def lines(found: Mapping[str, Any]) -> list[str]:
    """The measures in sentences."""
    if found.get("corrections"):
        return corrected(found)
    told = [f"{found['version'] or 'No model yet'}: {found['labels']:,} labels."]
    if numbers := found.get("numbers"):
        told.append(counted(numbers))
    for arm, live in sorted(found["live"].items(), key=lambda pair: pair[0] != CONTROL):
        what = "control tasks (random, no guess shown)" if arm == CONTROL else f"tasks picked by {arm}"
        told.append(
            f"Live accuracy on the last {live['n']} {what}: {live['accuracy']:.1%} "
            f"({live['low']:.1%} to {live['high']:.1%})."
        )
    saved = found["labels_saved"]
    if saved:
        needed, gain = saved["random_labels"], saved["saved"]
        most = " or more, beyond the pool" if saved["at_least"] else ""
        told.append(
            f"As good as {needed['value']:,.0f} random labels ({needed['low']:,.0f} to {needed['high']:,.0f}{most}): "
            f"{gain['value']:+,.0f} labels ({gain['low']:+,.0f} to {gain['high']:+,.0f}) saved by {saved['labels']:,}."
        )
    else:
        told.append(f"Labels saved: not known yet. It {found.get('saved_missing') or 'needs another round'}.")
    guesses = [f"The model is {found['guesses']}."] if found.get("guesses") else []
    return [*told, *guesses, found["hint"]]


def corrected(found: Mapping[str, Any]) -> list[str]:
    """What people made of another model's predictions, in sentences."""
    told = [f"Ordered by another model's predictions; {found['labels']:,} tasks are answered."]
    if numbers := found.get("numbers"):
        told.append(counted(numbers))
    names = {CONTROL: "drawn at random (nothing shown)", "picked": "picked"}
    for arm, words in names.items():
        one = found["corrections"][arm]
        if one["tasks"]:
            parts = [f"{one[name]:,} {name}" for name in ("kept", "moved", "relabelled", "removed", "added")]
            place = f"; overlap {one['overlap']:.2f}" if one["overlap"] is not None else ""
            told.append(
                f"Of {one['tasks']:,} tasks {words}, {one['corrected']:,} were corrected ({one['low']:.1%} to "
                f"{one['high']:.1%}). Of {one['predicted']:,} regions: {', '.join(parts[:4])}; {parts[4]}{place}."
            )
    return [*told, found["hint"]]


def counted(numbers: Mapping[str, Any]) -> str:
    """What people answered, in a sentence."""
    names = {"control": "control tasks", "evaluation": "evaluation tasks", "skipped": "skipped", "tied": "tied"}
    parts = [f"{numbers[name]:,} {words}" for name, words in names.items()]
    queue = numbers["queue"]
    told = f"Answered: {', '.join(parts[:2])}; {', '.join(parts[2:])}; {numbers['open']:,} tasks are open."
    if numbers.get("bulk"):  # a round of an older release counted none
        told += f" {numbers['bulk']:,} of the labels were given to many tasks at once."
    if queue:
        told += (
            f" Of the queue's {queue['size']:,} tasks {queue['answered']:,} are answered, {queue['waiting']:,} wait; "
        )
        told += f"{queue['elsewhere']:,} others were answered outside it since the last round."
    return told


def _class_table(classes: Mapping[str, Mapping[str, float]]) -> Table:
    from rich.table import Table

    table = Table("class", "control tasks", "picked", "picked, last 100", title="Share of each class among the answers")
    for label in dict.fromkeys(name for shares in classes.values() for name in shares):
        arms = (classes[arm] for arm in ("control", "picked", "recent"))
        table.add_row(label, *(f"{shares.get(label, 0):.1%}" if shares else "-" for shares in arms))
    return table
