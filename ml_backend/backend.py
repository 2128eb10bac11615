"""The ML backend in label-studio-ml's shape, for those who serve it with that package.

``lsal serve`` needs neither. Both releases are served: 1.0.9 (PyPI), which makes an object for a labeling config and
calls ``predict(tasks)`` and ``fit(tasks, event=..., data=...)``; and 2.x (its repository), which makes an object for
every request and calls ``predict(tasks, context)`` and ``fit(event, data)``.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_backend.config import Settings, load_settings
from ml_backend.errors import ConfigurationError
from ml_backend.jobs.queued_round import run_project_round
from ml_backend.pool.round_requests import run_request
from ml_backend.predictor import Predictor
from ml_backend.rounds.extra_params import read_extra_params, set_extra_params
from ml_backend.rounds.from_settings import client_of
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.registry import stores_of

with warnings.catch_warnings():
    # label-studio-tools, which 1.0.9 imports, has an invalid escape sequence: a warning whenever it is first compiled.
    warnings.simplefilter("ignore")
    try:
        from label_studio_ml.model import LabelStudioMLBase
    except ImportError:
        LabelStudioMLBase = object
    try:
        from label_studio_ml.response import ModelResponse  # only 2.x has it
    except ImportError:
        ModelResponse = None

__all__ = ["ActiveLearningBackend", "run_project_round"]
OWN_EVENT: Final = "PROJECT_UPDATED"
"""Publishing a queue causes it: a round for it would never end."""


class ActiveLearningBackend(LabelStudioMLBase):  # type: ignore[misc]
    """Predicts with, and trains, the project's own model: `Predictor` and `run_request`.

    The base class's constructor is not called: it parses the labeling config without our explanations, and 2.x's
    keeps what it is told in a database of its own.

    Args:
        project_id: the project's id (2.x).
        label_config: the project's labeling config.
        settings: the installation's; default: the environment's.
        project_uid: the project's unique id, as Label Studio sends it: ``7.1700000000``.
        kwargs: what 1.0.9 adds (``train_output``, ``hostname``, ``access_token``); not used.

    Raises:
        ConfigurationError: label-studio-ml is not installed.
        LabelConfigError: the labeling config asks something that we do not support.
    """

    label_config: str | None = None  # a property without a setter in 2.x

    def __init__(
        self,
        project_id: str | None = None,
        label_config: str | None = None,
        *,
        settings: Settings | None = None,
        project_uid: str | None = None,
        **kwargs: Any,
    ) -> None:
        del kwargs
        if LabelStudioMLBase is object:
            raise ConfigurationError(
                "ActiveLearningBackend needs label-studio-ml, which is not installed; `lsal serve` works without it."
            )
        self.settings = settings or load_settings()
        self.project_id = str(project_uid or project_id or "")
        self.label_config = label_config
        self._predictor = Predictor(self.settings, label_config, self.project_id or None)

    def setup(self) -> None:
        """Nothing to prepare (2.x): a model is loaded with the first prediction."""

    def predict(self, tasks: Sequence[Mapping[str, Any]], context: Any = None, **kwargs: Any) -> Any:
        """One prediction per task, as `Predictor.predict` makes them.

        Args:
            tasks: tasks as Label Studio sends them.
            context: what the annotator does; not used.
            kwargs: what else is sent (``login``, ``password``); not used.

        Returns:
            Label Studio's rows; with 2.x a ``ModelResponse`` of them.
        """
        del context, kwargs
        rows = self._predictor.predict(tasks)
        if ModelResponse is None:
            return rows
        return ModelResponse(predictions=rows, model_version=self._predictor.model_version_in_use())

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run one round for the project that the event's ``data`` names: train, judge, publish a new queue.

        The labels are read from Label Studio; tasks and the event's own payload are not trusted and not used.

        Args:
            args: tasks and a working folder (1.0.9), or the event's name and its data (2.x).
            kwargs: the same by name.

        Returns:
            JSON-able summary: version, queue, metrics, warnings, steps; empty for an event that asks no round.

        Raises:
            ConfigurationError: no project named, or no token to read Label Studio with.
        """
        if OWN_EVENT in (kwargs.get("event"), *(value for value in args if isinstance(value, str))):
            return {}
        data = kwargs.get("data") or next((value for value in args if isinstance(value, Mapping)), {})
        project = data.get("project") or {}
        project_id = project.get("id") if isinstance(project, Mapping) else project
        project_id = project_id or self.project_id.split(".", 1)[0]
        if not project_id:
            raise ConfigurationError("No project named: fit(data={'project': {'id': N}}) is how Label Studio calls it.")
        return run_request(RoundRequest(int(project_id)), settings=self.settings)

    # 2.x keeps these in a database of its own; ours are in the store.

    def get(self, key: str) -> str | None:
        """2.x: the served queue's name, or the extra params as JSON; None of anything else."""
        if key == "model_version":
            return self._predictor.model_version_in_use()
        if key == "extra_params" and (store := stores_of(self.settings).open(self._project_number())):
            return json.dumps(store.extra_params())
        return None

    def set_extra_params(self, extra_params: Any) -> None:
        """2.x: keep what was typed into the backend's settings.

        Raises:
            ConfigurationError: it is no JSON object of our settings, or there is no token to ask Label Studio with.
        """
        store = stores_of(self.settings).open(self._project_number())
        set_extra_params(self.settings, store.uid if store else self._ask_uid(), read_extra_params(extra_params))

    def _ask_uid(self) -> str:
        client = client_of(self.settings)
        if client is None:
            raise ConfigurationError("No token to keep extra params with: set LABEL_STUDIO_API_KEY for the backend.")
        return client.project(self._project_number()).uid

    def _project_number(self) -> int:
        return int(self.project_id.split(".", 1)[0] or 0)
