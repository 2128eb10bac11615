"""The simulation through a real Label Studio: tasks, rounds and the label stream are real, only the person is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from ml_backend.config import ProjectSettings
from ml_backend.errors import DataError
from ml_backend.importing.image_files import png_data_uri
from ml_backend.importing.new_tasks import import_row, send
from ml_backend.importing.reading import NewTask, content_key
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.rounds.report import Report
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.simulation.design import MEASURES, Design, LabelledData, Round
from ml_backend.simulation.oracle import Oracle
from ml_backend.store.project_store import ProjectStore

POSITION: Final = "position"
"""Task data field that tells the oracle which item a task is."""
FIELD: Final = "value"


def simulate_live(
    client: LabelStudioClient, root: Path, data: LabelledData, design: Design, strategy: str, seed: int
) -> Iterator[Round]:
    """One run in a new project; yields each round as it ends.

    The oracle takes each task from "Label All Tasks" and submits its answer, as people do.

    Args:
        client: Label Studio.
        root: folder of the versions.
        data: the labelled items.
        design: how to proceed; a cold start begins with the loop's random order.
        strategy: a registered strategy.
        seed: fixes all that it fixes in ``simulate``.

    Raises:
        LabelStudioError: Label Studio failed. DataError: the label stream ended before the budget was spent.
    """
    oracle = Oracle(data, design, seed)
    xml = label_config(data)
    project = client.create_project(f"Simulation of {data.name}: {strategy}, seed {seed}", xml)
    question = parse_label_config(xml, project=project.id)
    _import(client, project.id, oracle, question, cold=design.cold)
    workspace = Workspace(client, root, project_settings(data, design, strategy, seed))
    number, first = 0, design.initial if design.cold else 0
    while True:
        report = run_round(
            workspace, RoundRequest(project.id), RunOptions(overrides={"queue_size": first} if first else {})
        )
        count = report.labels
        wanted = first or min(design.batch, design.budget - count)
        picked = tuple(_answer_next(client, project.id, data, question) for _ in range(wanted))
        first = 0
        if report.version and report.metrics:
            measures = {name: report.metrics.get(name) for name in MEASURES}
            times = (_seconds(report, "fit"), _seconds(report, "score"))
            manifest = ProjectStore(root, client.project(project.id).uid).manifest(report.version)
            yield Round(
                *(strategy, seed, number, count, measures, *times),
                picked=picked,
                learnt_from=manifest.learnt_from,
                in_a_row=manifest.in_a_row,
            )
            number += 1
        if wanted <= 0:
            return


def project_settings(data: LabelledData, design: Design, strategy: str, seed: int) -> ProjectSettings:
    """The settings of the run's project."""
    settings = {
        "strategy": strategy,
        "samples": design.samples,
        "queue_size": design.batch,
        "seed": seed,
        "prelabel": False,
        "check_guessing": False,  # the strategy itself is simulated
        "promote_margin": None,
        "control_share": design.control_share,
        "learn_from_pool": design.learn_from_pool,
        "embedding": design.embedding,
        "hyperparameters": dict(design.hyperparameters),
    }
    settings["text_model" if data.model.object_tag == "Text" else "image_model"] = data.model.name
    return ProjectSettings().override(settings, where="Simulation")


def label_config(data: LabelledData) -> str:
    """A labeling config that asks for one of the data's labels, or for several."""
    tag, kind = data.model.object_tag, "multiple" if data.multiple else "single"
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in data.labels)
    return (
        f'<View><{tag} name="item" value="${FIELD}"/>'
        f'<Choices name="label" toName="item" choice="{kind}">{choices}</Choices></View>'
    )


def _import(
    client: LabelStudioClient, project_id: int, oracle: Oracle, question: ChoiceQuestion, *, cold: bool
) -> None:
    """All items: the held-out ones with their labels, then the others, by position, of which the first are labelled."""
    labelled = set() if cold else set(oracle.first.tolist())

    def task(position: int, known: bool) -> NewTask:
        value = value_of(oracle.data, position)
        label = oracle.data.answer(position) if known else None
        return NewTask({FIELD: value, POSITION: position}, label, f"{position} {content_key(value)}")

    held_out = [task(position, True) for position in oracle.held_out.tolist()]
    others = [task(position, position in labelled) for position in oracle.open.tolist()]
    evaluation = {entry.key for entry in held_out}
    send(client, project_id, [import_row(entry, question, evaluation) for entry in (*held_out, *others)])


def value_of(data: LabelledData, position: int) -> str:
    """What the task of an item holds."""
    if data.values:
        return data.values[position]
    item = data.items[position]
    return png_data_uri(item) if data.model.object_tag == "Image" else str(item)


def _answer_next(client: LabelStudioClient, project_id: int, data: LabelledData, question: ChoiceQuestion) -> int:
    task: dict[str, Any] | None = client.next_task(project_id)
    if task is None:
        raise DataError(f"The label stream of project {project_id} ended early; is somebody else labelling there?")
    position = int(task["data"][POSITION])
    client.annotate(task["id"], annotation_result(data.answer(position), question))
    return position


def _seconds(report: Report, *names: str) -> float:
    return sum(step.seconds for step in report.steps if step.name in names)
