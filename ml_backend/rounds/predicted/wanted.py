"""Whether a project is ordered by another model's predictions."""

from __future__ import annotations

from ml_backend.config import ProjectSettings
from ml_backend.errors import ActiveLearningError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.rounds.log import Seen, look
from ml_backend.store.project_store import ProjectStore
from ml_backend.strategies.mixture import needs


def by_predictions(settings: ProjectSettings) -> bool:
    """Whether these settings ask for such rounds: a part of the strategy is ``predictions``."""
    return "doubts" in needs(settings.strategy)


def is_by_predictions(store: ProjectStore | None, defaults: ProjectSettings) -> bool:
    """The same of a stored project; False where its settings are wrong, which its rounds then say."""
    try:
        params = store.extra_params() if store is not None else {}
        return by_predictions(defaults.override(params, where="Extra params"))
    except ActiveLearningError:
        return False


def look_at(client: LabelStudioClient, project_id: int, store: ProjectStore | None, defaults: ProjectSettings) -> Seen:
    """The project as it is now, with all that starts a round of it.

    Raises:
        LabelStudioError: Label Studio failed.
    """
    return look(client, project_id, predictions=is_by_predictions(store, defaults))
