"""The backend, its webhook, and both network directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.doctor.words import command, connect_command
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.setup import (
    PRIVATE_ADDRESS,
    authorization,
    ensure_webhook,
    is_private,
    refuses_address,
)

BACKEND_TIMEOUT: Final = 10.0
NEEDED_ACTIONS: Final = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"})


def backend(context: Context) -> Finding:
    """It answers from here."""
    name, url = "Backend", context.backend_url
    if url is None:
        return Finding(
            name,
            "skipped",
            "None is connected: rounds start by lsal sync only.",
            f"{connect_command(context)}, where annotations should start rounds.",
        )
    start = f"lsal serve, or correct the address {url} in Settings > Model."
    try:
        answer = httpx.get(f"{url}/health", timeout=BACKEND_TIMEOUT)
        kind = answer.raise_for_status().json().get("model_class")
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return Finding(name, "error", f"{url} does not answer from here ({exc}).", start)
    except (ValueError, AttributeError):
        return Finding(name, "error", f"What answers at {url} is no ML backend.", start)
    if kind != "ActiveLearningBackend":
        return Finding(name, "error", f"{url} is another ML backend ({kind}).", start)
    return Finding(name, "ok", f"{url} answers.")


def backend_auth(context: Context) -> Finding:
    """It takes the password set here, and no other."""
    name, url, auth = "Backend's password", context.backend_url, context.basic_auth
    same = "Set the same BASIC_AUTH_USER and BASIC_AUTH_PASS here and where the backend runs, and restart it."
    # /setup without a project does nothing but ask for the password; a whole one would overwrite the extra params.
    try:
        right = httpx.post(f"{url}/setup", json={}, auth=auth, timeout=BACKEND_TIMEOUT).status_code
        wrong = httpx.post(f"{url}/setup", json={}, auth=("doctor", "wrong"), timeout=BACKEND_TIMEOUT).status_code
    except httpx.HTTPError as exc:
        return Finding(name, "error", f"{url}/setup does not answer ({exc}).", "See the backend's log.")
    if right == 401:
        found = "refuses the user and password that are set here" if auth else "asks for one, and none is set here"
        return Finding(name, "error", f"The backend {found}.", same)
    if right != 400:
        return Finding(name, "error", f"{url}/setup answers {right}.", "See the backend's log.")
    if auth and wrong != 401:
        return Finding(name, "warning", "The backend takes any password.", same)
    return Finding(name, "ok", "It takes the one set here, and refuses others." if auth else "None is asked for.")


def backend_state(context: Context) -> Finding:
    """Label Studio reaches it: the other network direction."""
    name, row, url = "Label Studio to backend", context.backend, context.backend_url
    if row is None:
        return Finding(name, "error", f"{url} is not connected to the project.", connect_command(context))
    state, told = row["readable_state"], row.get("error_message") or ""
    if row["state"] not in ("DI", "ER"):
        return Finding(name, "ok", f"{row['title']}: {state}.")
    message = f"{row['title']}: {state}{f' ({told})' if told else ''}."
    if refuses_address(told):
        return Finding(name, "error", message, f"{PRIVATE_ADDRESS}.")
    if row["state"] == "ER":
        return Finding(name, "error", message, f"Mend what it says; for a wrong password: {connect_command(context)}.")
    remedy = f"{connect_command(context)} shows the reason; the backend's --host must be reachable for Label Studio."
    if is_private(str(url)):
        remedy = f"{remedy} {PRIVATE_ADDRESS}."
    return Finding(name, "error", f"{message} It does not reach {url}.", remedy)


def webhook(context: Context) -> Finding:
    """One active webhook brings annotations to the backend, with the password where one is set."""
    name, auth = "Webhook", authorization(context.settings)
    if context.backend_url is None:
        return Finding(name, "skipped", "Not checked: no backend is connected.")
    wanted = f"{context.backend_url}/webhook"
    rows = context.client.webhooks(context.project_id)
    found = [row for row in rows if row["url"].rstrip("/") == wanted]
    problem = ""
    if not found:
        others = [row["url"] for row in rows if row["url"].rstrip("/").endswith("/webhook")]
        problem = f"{wanted} is missing{f' (there is {others[0]})' if others else ''}: annotations start no rounds."
    elif len(found) > 1:
        problem = f"{wanted} is there {len(found)} times: every annotation is told as often."
    elif not found[0]["is_active"]:
        # Not mended: somebody did that on purpose.
        told = f"{wanted} is switched off: annotations start no rounds."
        return Finding(name, "warning", told, "Settings > Webhooks: switch it on, unless that is meant.")
    elif not found[0]["send_payload"]:
        problem = f"{wanted} is sent without its payload: it does not name the project."
    elif auth and not _authorized(found[0], auth):
        problem = f"{wanted} carries no or another password: the backend refuses it."
    elif not found[0]["send_for_all_actions"] and not NEEDED_ACTIONS.issubset(found[0]["actions"] or ()):
        told = f"{wanted} is not sent for all of {', '.join(sorted(NEEDED_ACTIONS))}."
        return Finding(name, "warning", told, "Settings > Webhooks: send it for all actions.")
    if not problem:
        return Finding(name, "ok", f"{wanted}, active{', with the password' if auth else ''}.")
    remedy = f"{command('doctor', context, '--fix')}, or Settings > Webhooks."
    if not found and is_private(wanted):
        remedy = f"{remedy} {PRIVATE_ADDRESS}, if that is refused."
    return Finding(name, "error", problem, remedy, fixable=True)


def _authorized(row: dict[str, object], wanted: Mapping[str, str]) -> bool:
    """Whether a webhook carries these headers; their names' case does not count."""
    headers = row.get("headers")
    given = {str(name).lower(): value for name, value in headers.items()} if isinstance(headers, dict) else {}
    return all(given.get(name.lower()) == value for name, value in wanted.items())


def mend_webhook(context: Context) -> str:
    """Make the webhook right."""
    url = context.backend_url
    if url is None:
        raise ConfigurationError("No backend is connected.")
    password = backend_auth(context)
    if password.status == "error":  # the webhook may carry the right one, and would get the wrong one
        raise ConfigurationError(f"{password.message} Mend that first.")
    ensure_webhook(context.client, context.project_id, url, context.settings)
    return f"{url}/webhook is set right."
