"""Checks of the backend's webhook and of the secret that it carries."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.doctor.words import command
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.setup import is_private
from ml_backend.label_studio.twins import Twins, drop_twins, find_twins
from ml_backend.label_studio.webhook_secret import HEADER, known_webhook_secret, rotate_webhook_secret, secret_path
from ml_backend.label_studio.webhooks import (
    PRIVATE_ADDRESS,
    carries,
    carries_password,
    ensure_webhook,
    password_header,
    why_refused,
)

NEEDED_ACTIONS: Final = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"})
OLD_SECRET: Final = timedelta(days=90)
"""A secret older than this should be replaced: every user of Label Studio can read it there, also those who have
left."""


def webhook_secret(context: Context) -> Finding:
    """Webhooks have a secret of their own, recent enough, which no other user of this machine can read."""
    name, settings = "Webhook's secret", context.settings
    if not password_header(settings):
        return Finding(name, "ok", "Not needed: the backend asks for no password.")
    secret, fix = known_webhook_secret(settings), command("doctor", context, "--fix")
    if secret is None:
        return Finding(
            name, "warning", "There is none yet, so webhooks carry no secret of their own.", fix, fixable=True
        )
    if settings.webhook_secret is not None:
        return Finding(name, "ok", "It is set by WEBHOOK_SECRET.")
    if settings.store_url is not None:
        told = "This machine made its own; other machines that share the store have others."
        return Finding(name, "warning", told, "Set the same WEBHOOK_SECRET on all machines.")
    path = secret_path(settings)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(name, "warning", f"{path} can be read by other users of this machine.", fix, fixable=True)
    age = context.now() - datetime.fromisoformat(secret.made)
    if age > OLD_SECRET:
        return Finding(name, "warning", f"It is {age.days} days old.", fix, fixable=True)
    return Finding(name, "ok", f"Made {secret.made[:10]}; it opens only the webhook.")


def mend_webhook_secret(context: Context) -> str:
    """Make a new secret. This project's webhook gets it at once, those of other projects with their next round."""
    rotate_webhook_secret(context.settings, now=context.now())
    if context.backend_url is not None:
        ensure_webhook(context.client, context.project_id, context.backend_url, context.settings)
    return "A new one was made. Webhooks of other projects get it with their next round."


def webhook(context: Context) -> Finding:
    """One active webhook brings annotations to the backend, and carries its secret if a password is set."""
    name = "Webhook"
    if context.backend_url is None:
        return Finding(name, "skipped", "Not checked: no backend is connected.")
    wanted = f"{context.backend_url}/webhook"
    rows = context.client.webhooks(context.project_id)
    found = [row for row in rows if row["url"].rstrip("/") == wanted]
    if len(found) == 1 and not found[0]["is_active"]:
        # Not fixed automatically, because somebody did that on purpose.
        told = f"{wanted} is switched off, so annotations start no rounds."
        return Finding(name, "warning", told, "Settings > Webhooks: switch it on, unless that is meant.")
    problem, status = "", "error"
    if not found:
        others = [row["url"] for row in rows if row["url"].rstrip("/").endswith("/webhook")]
        problem = f"{wanted} is missing{f' (there is {others[0]})' if others else ''}, so annotations start no rounds."
    elif len(found) > 1:
        problem = f"{wanted} exists {len(found)} times, so every annotation is reported {len(found)} times."
    elif not found[0]["send_payload"]:
        problem = f"{wanted} is sent without its payload, so it does not name the project."
    else:
        problem, status = _wrong_headers(context, found[0])
    if problem:
        remedy = f"{command('doctor', context, '--fix')}, or Settings > Webhooks."
        if not found and (why_refused(wanted) != PRIVATE_ADDRESS or is_private(wanted)):
            remedy = f"{remedy} {why_refused(wanted)}, if that is refused."
        return Finding(name, "warning" if status == "warning" else "error", problem, remedy, fixable=True)
    if not found[0]["send_for_all_actions"] and not NEEDED_ACTIONS.issubset(found[0]["actions"] or ()):
        told = f"{wanted} is not sent for all of {', '.join(sorted(NEEDED_ACTIONS))}."
        return Finding(name, "warning", told, "Settings > Webhooks: send it for all actions.")
    return Finding(name, "ok", f"{wanted}, active{', with its secret' if password_header(context.settings) else ''}.")


def connections(context: Context) -> Finding:
    """Only one backend and one webhook lead to the backend's server."""
    name, row = "Connected once", context.backend
    if row is None:
        return Finding(name, "skipped", "Not checked: no backend is connected.")
    twins = _twins(context, row)
    if not twins:
        return Finding(name, "ok", f"{row['url']} is connected once.")
    told = [f'the backend "{one["title"]}" ({one["url"]})' for one in twins.backends]
    told += [f"the webhook {one['url']}" for one in twins.webhooks]
    message = f"The server of {row['url']} is told each annotation several times, also by {', '.join(told)}."
    remedy = f"{command('doctor', context, '--fix')}, or keep one in Settings > Model and > Webhooks."
    return Finding(name, "error", message, remedy, fixable=True)


def mend_connections(context: Context) -> str:
    """Remove all but one."""
    row = context.backend
    if row is None:
        raise ConfigurationError("No backend is connected.")
    drop_twins(context.client, _twins(context, row))
    ensure_webhook(context.client, context.project_id, str(row["url"]).rstrip("/"), context.settings)
    return f"{row['url']} is connected once."


def _twins(context: Context, row: Mapping[str, Any]) -> Twins:
    return find_twins(row, context.backends, context.client.webhooks(context.project_id), context.settings.ca_file)


def _wrong_headers(context: Context, row: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with the headers of a webhook, and how serious that is."""
    settings = context.settings
    if not password_header(settings):
        return "", ""
    if carries_password(row, settings):
        told = "carries the backend's password, which every user of Label Studio can read there;"
        return f"{row['url']} {told} it needs a secret of its own.", "warning"
    secret = known_webhook_secret(settings)
    if secret is None or not any(carries(row, {HEADER: one}) for one in secret.all):
        return f"{row['url']} carries no secret or a wrong one, so the backend refuses it.", "error"
    return "", ""


def mend_webhook(context: Context) -> str:
    """Correct the webhook."""
    url = context.backend_url
    if url is None:
        raise ConfigurationError("No backend is connected.")
    ensure_webhook(context.client, context.project_id, url, context.settings)
    return f"{url}/webhook is correct now."
