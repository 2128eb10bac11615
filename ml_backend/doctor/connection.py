"""Checks of the backend and of the network in both directions."""

from __future__ import annotations

from typing import Final

import httpx

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.doctor.words import connect_command
from ml_backend.fetching.clients import ask
from ml_backend.label_studio.setup import is_private, refuses_address
from ml_backend.label_studio.webhooks import PRIVATE_ADDRESS

BACKEND_TIMEOUT: Final = 10.0


def backend(context: Context) -> Finding:
    """The backend answers from here."""
    name, url = "Backend", context.backend_url
    if url is None:
        return Finding(
            name,
            "skipped",
            "No backend is connected, so rounds start only with lsal sync.",
            f"{connect_command(context)}, if annotations should start rounds.",
        )
    start = f"lsal serve, or correct the address {url} in Settings > Model."
    try:
        answer = ask("GET", f"{url}/health", timeout=BACKEND_TIMEOUT, ca_file=context.settings.ca_file)
        kind = answer.raise_for_status().json().get("model_class")
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return Finding(name, "error", f"{url} does not answer from here ({exc}).", start)
    except (ValueError, AttributeError):
        return Finding(name, "error", f"What answers at {url} is not an ML backend.", start)
    if kind != "ActiveLearningBackend":
        return Finding(name, "error", f"{url} is another ML backend ({kind}).", start)
    return Finding(name, "ok", f"{url} answers.")


def backend_auth(context: Context) -> Finding:
    """The backend accepts the password that is set here, and no other."""
    name, url, auth = "Backend's password", context.backend_url, context.basic_auth
    same = "Set the same BASIC_AUTH_USER and BASIC_AUTH_PASS here and where the backend runs, and restart it."
    try:
        right, wrong = (_answers(context, pair) for pair in (auth, ("doctor", "wrong")))
    except httpx.HTTPError as exc:
        return Finding(name, "error", f"{url}/versions does not answer ({exc}).", "See the backend's log.")
    if right == 401:
        found = "refuses the user and password set here" if auth else "asks for one, but none is set here"
        return Finding(name, "error", f"The backend {found}.", same)
    if right != 200:
        return Finding(name, "error", f"{url}/versions answers {right}.", "See the backend's log.")
    if auth and wrong != 401:
        return Finding(name, "warning", "The backend accepts any password.", same)
    return Finding(
        name, "ok", "The backend accepts the one set here and refuses others." if auth else "The backend asks for none."
    )


def _answers(context: Context, auth: tuple[str, str] | None) -> int:
    """The status code with which the backend answers this password, on a route that needs it and changes nothing."""
    ca_file, url = context.settings.ca_file, f"{context.backend_url}/versions"
    return ask("GET", url, auth=auth, timeout=BACKEND_TIMEOUT, ca_file=ca_file).status_code


def backend_state(context: Context) -> Finding:
    """Label Studio can reach the backend, which is the other network direction."""
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
        return Finding(
            name, "error", message, f"Fix what it says. If the password is wrong: {connect_command(context)}."
        )
    remedy = f"{connect_command(context)} shows the reason; the backend's --host must be reachable for Label Studio."
    if is_private(str(url)):
        remedy = f"{remedy} {PRIVATE_ADDRESS}."
    return Finding(name, "error", f"{message} It does not reach {url}.", remedy)
