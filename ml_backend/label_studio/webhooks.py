"""Makes sure that the backend has exactly one webhook, and that it carries the webhook's own secret."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ml_backend.config import Settings
from ml_backend.errors import LabelStudioError, LabelStudioRejected
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.webhook_secret import HEADER, known_webhook_secret, read_webhook_secret

PRIVATE_ADDRESS: Final = (
    "Label Studio refuses addresses on its own machine or a private network unless it was started with both "
    "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false: set both and restart it"
)
NAME: Final = re.compile(r"localhost|([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z-]*[a-z]", re.IGNORECASE)
"""Host names for which Label Studio makes webhooks; it checks them with Django's ``URLValidator``."""
NAME_REFUSED: Final = (
    'Label Studio makes webhooks only to IP addresses, "localhost" and names with a dot (of letters, digits and -), '
    'and reports no error otherwise: give the backend such a name beside "{host}", for example "{better}" (in '
    "containers an alias on the network), add it to ALLOWED_HOSTS, connect it under that name"
)
AUTHORIZATION: Final = "Authorization"


def ensure_webhook(client: LabelStudioClient, project_id: int, backend_url: str, settings: Settings) -> list[str]:
    """Make sure that there is exactly one webhook to the backend, with the project's id and the webhook's secret.

    Label Studio makes a webhook together with a new backend, but not if a backend's URL changes; it silently makes none
    if only ML_BLOCK_LOCAL_IP=false is set; and it never adds a header. In each of these cases annotations would start
    no rounds. A webhook that is switched off stays so, because somebody did that on purpose.

    Returns:
        What was found and done, in sentences for people; empty if all was right.

    Raises:
        LabelStudioRejected: Label Studio makes no webhook to this address.
        StoreError: the secret cannot be kept.
    """
    wanted, headers = f"{backend_url}/webhook", webhook_headers(settings)
    found = [row for row in client.webhooks(project_id) if row["url"].rstrip("/") == wanted]
    if not found:
        try:
            client.create_webhook(project_id, wanted, headers)
        except LabelStudioError as exc:
            raise LabelStudioRejected(
                f"The backend is connected, but its webhook is missing, so annotations start no training. {exc} "
                f"{why_refused(wanted)}, and run this again."
            ) from exc
        return [f"The webhook {wanted} was missing and was created."]
    kept = next((row for row in found if row["is_active"]), found[0])
    told = []
    for row in found:
        if row is not kept:
            client.delete_webhook(row["id"])
            told.append(f"The webhook {wanted} existed twice; one was deleted.")
    if not kept["is_active"]:
        told.append(f"The webhook {wanted} is switched off, so annotations start no training. See Settings > Webhooks.")
    _correct(client, kept, {"send_payload": True, "headers": right_headers(kept, settings, headers)})
    return told


def why_refused(url: str) -> str:
    """What to do if Label Studio makes no webhook to an address."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return PRIVATE_ADDRESS
    known = ":" in host or host.replace(".", "").isdecimal() or NAME.fullmatch(host)
    better = f"{host.partition('.')[0].replace('_', '-').strip('-')}.internal"
    return PRIVATE_ADDRESS if known else NAME_REFUSED.format(host=host, better=better)


def renew_headers(
    client: LabelStudioClient, project_id: int, settings: Settings, *, backend_url: str | None = None
) -> list[str]:
    """Give our webhooks the current secret if they carry an older one, none, or the backend's password.

    Our webhooks are recognised by what they carry, and the one made by Label Studio itself by its address. If this
    machine has no secret yet and the address is not known, nothing is changed, because another machine's secret may be
    the right one.

    Args:
        client: client of an account that can see the project.
        project_id: the project.
        settings: the installation's.
        backend_url: the address at which Label Studio reaches this backend, if known.

    Returns:
        The addresses of the webhooks that were changed.
    """
    secret = known_webhook_secret(settings)
    if not password_header(settings) or (secret is None and backend_url is None):
        return []
    changed = []
    for row in client.webhooks(project_id):
        carried = _given(row).get(HEADER.lower())
        bare = carried is None and backend_url is not None and str(row["url"]).rstrip("/") == f"{backend_url}/webhook"
        older = secret is not None and carried not in (None, secret.current)
        if (carries_password(row, settings) and secret is not None) or bare or older:
            wanted = webhook_headers(settings)
            if _correct(client, row, {"headers": right_headers(row, settings, wanted)}):
                changed.append(str(row["url"]))
    return changed


def webhook_headers(settings: Settings) -> dict[str, str]:
    """The headers that a webhook needs; empty if the backend has no password.

    Raises:
        StoreError: the secret cannot be read or kept.
    """
    return {HEADER: read_webhook_secret(settings).current} if password_header(settings) else {}


def right_headers(row: Mapping[str, Any], settings: Settings, wanted: Mapping[str, str]) -> dict[str, str]:
    """A webhook's headers with the wanted ones added and the backend's password removed; all others stay."""
    replaced = {name.lower() for name in wanted}
    if carries_password(row, settings):
        replaced.add(AUTHORIZATION.lower())
    headers = row.get("headers") or {}
    return {name: value for name, value in headers.items() if name.lower() not in replaced} | dict(wanted)


def carries_password(row: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a webhook carries the backend's password, which every user of Label Studio could read there."""
    password = password_header(settings)
    return bool(password) and _given(row).get(AUTHORIZATION.lower()) == password


def carries(row: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Whether a webhook carries these headers; the case of their names does not matter."""
    given = _given(row)
    return all(given.get(name.lower()) == value for name, value in wanted.items())


def password_header(settings: Settings) -> str:
    """The backend's basic auth as a header value; empty if it has no password."""
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if not user or password is None:
        return ""
    return "Basic " + b64encode(f"{user}:{password.get_secret_value()}".encode()).decode()


def _given(row: Mapping[str, Any]) -> dict[str, Any]:
    headers = row.get("headers")
    return {str(name).lower(): value for name, value in headers.items()} if isinstance(headers, dict) else {}


def _correct(client: LabelStudioClient, row: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Correct a webhook that differs; returns whether it did."""
    if all(row[name] == value for name, value in right.items()):
        return False
    # The list of actions is sent along, because Label Studio empties it in a change that does not name it.
    client.change_webhook(row["id"], {**right, "actions": row["actions"]})
    return True
