"""A project's extra params, changed where people see them: in Label Studio first, then in the store.

Label Studio sends the extra params of its backend record with every ``/setup`` and the store follows, so a change that
only the store knew would be undone by the next one. Where no backend is connected, the store alone holds them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.client import BACKEND_TITLE, LabelStudioClient
from ml_backend.records import Project
from ml_backend.rounds.request import applied
from ml_backend.store.registry import stores_of


def change_params(settings: Settings, client: LabelStudioClient, project_id: int, changes: Mapping[str, Any]) -> None:
    """Change some extra params for all rounds to come.

    Raises:
        ConfigurationError: a name or value is wrong; nothing was changed.
        LabelStudioError: Label Studio refused or failed; the store is unchanged.
    """
    store = stores_of(settings).get(client.project(project_id).uid)
    params = applied(store.extra_params(), changes)
    settings.project_settings(params, where=f"Settings of project {project_id}")
    rows = client.backends(project_id)
    ours = [row for row in rows if row["title"] == BACKEND_TITLE] or (rows if len(rows) == 1 else [])
    secret = settings.basic_auth_pass
    for row in ours:
        client.change_backend(
            row,
            {"extra_params": params},
            user=settings.basic_auth_user,
            password=secret.get_secret_value() if secret else None,
        )
    store.set_extra_params(params)


def settings_so_far(settings: Settings, client: LabelStudioClient, project: Project) -> Mapping[str, Any] | None:
    """What Label Studio must be told as a project's first backend is connected; None: it holds them, or there are none.

    Its first ``/setup`` would else bring none, and the store, which alone held them, would follow.

    Raises:
        LabelStudioError: it does not say what is connected. StoreError: the store is damaged.
    """
    if client.backends(project.id):
        return None
    return stores_of(settings).get(project.uid).extra_params() or None


def read_extra_params(value: Any) -> Mapping[str, Any]:
    """What was typed into the backend's settings: Label Studio's page sends it as the text that it is.

    Raises:
        ConfigurationError: it is no JSON object.
    """
    try:
        params = json.loads(value.strip() or "null") if isinstance(value, str) else value
    except ValueError:
        params = value
    params = params or {}
    if not isinstance(params, Mapping):
        raise ConfigurationError('Extra params must be a JSON object, like {"strategy": "bald"}.')
    return params


def check_extra_params(settings: Settings, params: Mapping[str, Any]) -> None:
    """Refuse extra params that no round could have.

    Raises:
        ConfigurationError: a name or value is wrong.
    """
    settings.project_settings(params, where="Extra params")


def set_extra_params(settings: Settings, uid: str, params: Mapping[str, Any]) -> None:
    """Keep a project's extra params for all rounds to come.

    Raises:
        ConfigurationError: a name or value is wrong; nothing was changed.
    """
    check_extra_params(settings, params)
    stores_of(settings).get(uid).set_extra_params(params)
