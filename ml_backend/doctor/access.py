"""Checks of what everything else needs: Label Studio, the token, the project."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime, timedelta
from typing import Final

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.doctor.words import command
from ml_backend.label_studio.client import installed_version, untested
from ml_backend.label_studio.labeling_config import NEXT_STEP
from ml_backend.records import EVALUATION_FIELD, EVALUATION_SPLIT
from ml_backend.rounds.evaluation_tasks import TAB_TITLE

EXPIRES_SOON: Final = timedelta(days=14)


def label_studio(context: Context) -> Finding:
    """Label Studio answers; reports its version."""
    name, url = "Label Studio", context.settings.label_studio_url
    version = installed_version(url, ca_file=context.settings.ca_file)
    told = untested(version)
    if told is None:
        return Finding(name, "ok", f"{url} answers; version {version}.")
    return Finding(
        name, "warning", f"{url} answers. {told}.", f"Prove the order: {command('doctor', context, '--order 20')}"
    )


def token(context: Context) -> Finding:
    """The token is accepted; reports its kind and expiry."""
    name = "Token"
    expiry = personal_token_expiry(context.token)
    account = context.client.whoami()["email"]
    if expiry is None:
        return Finding(name, "ok", f"Legacy token of {account}.")
    message = f"Personal access token of {account}, valid until {expiry:%Y-%m-%d}."
    if expiry - context.now() > EXPIRES_SOON:
        return Finding(name, "ok", message)
    return Finding(
        name, "warning", message, "Take a new one under Account & Settings and set LABEL_STUDIO_API_KEY before then."
    )


def personal_token_expiry(token: str) -> datetime | None:
    """When a personal access token expires; None for a legacy token, which does not expire."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (binascii.Error, ValueError, KeyError, TypeError, OverflowError):
        return None


def project(context: Context) -> Finding:
    """The project exists, and the account can see it."""
    now = context.project
    told = f'{now.id} "{now.title}": {now.task_count:,} tasks, {now.annotation_count:,} annotations.'
    if now.task_count:
        return Finding("Project", "ok", told)
    return Finding("Project", "warning", told, f"{command('import', context, 'FILE')}, or connect a pool.")


def labeling_config(context: Context) -> Finding:
    """The config asks something that can be learnt and that all annotators see, or another model orders the tasks."""
    name = "Labeling config"
    if context.by_predictions:
        asked = ", ".join(context.layout.controls)
        return Finding(name, "ok", f"Asks {asked}; nothing is learnt, another model's predictions order the tasks.")
    question = context.question
    message = f"{len(question.labels)} choices about {question.about}."
    message = " ".join((message, *(f"{note}." for note in context.config.notes)))
    if not context.config.warnings:
        return Finding(name, "ok", message)
    return Finding(name, "warning", f"{message} {'. '.join(context.config.warnings)}.", NEXT_STEP)


def overlap(context: Context) -> Finding:
    """How many annotations each task should get."""
    name, wanted = "Annotations per task", context.project.maximum_annotations
    if wanted <= 1:
        return Finding(name, "ok", "One.")
    return Finding(
        name,
        "warning",
        f"{wanted}: Label Studio gives a second annotator half-done tasks, in random order, before the queue.",
        f'PATCH /api/projects/{context.project_id} {{"maximum_annotations": 1}}, unless the overlap is wanted.',
    )


def evaluation_tasks(context: Context) -> Finding:
    """There are held-out tasks to measure on."""
    name = "Evaluation tasks"
    if context.by_predictions:
        return Finding(name, "ok", "Not needed: another model's predictions order the tasks.")
    held_out = [task for task in context.tasks if task.is_evaluation]
    labelled = sum(task.is_labeled for task in held_out)
    if labelled:
        return Finding(name, "ok", f"{len(held_out):,}, {labelled:,} of them labelled.")
    message = f"{len(held_out):,}, none of them labelled, so " if held_out else "There are none, so "
    remedy = (
        f"Label them: Label Studio's tab “{TAB_TITLE}” lists them, once a round has run."
        if held_out
        else f'{command("import", context)} FILE --evaluation 200, or set "{EVALUATION_FIELD}": '
        f'"{EVALUATION_SPLIT}" in the data of random tasks.'
    )
    return Finding(name, "warning", message + "nobody knows how good the model is.", remedy)
