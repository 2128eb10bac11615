"""Rounds over pools as the backend runs them, and as commands do."""

import pytest

from ml_backend.config import Settings
from ml_backend.pool.document import Pool, connect
from ml_backend.pool.round_requests import run_request, workspace
from ml_backend.rounds.from_settings import client_of
from ml_backend.rounds.report import Report
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import ProjectStore


@pytest.mark.parametrize(("given", "left"), [({}, 1), ({"spare_cores": 3}, 3), ({"spare_cores": 0}, 0)])
def test_a_round_that_nobody_waits_for_leaves_cores_to_others(tmp_path, given, left):
    settings = Settings(model_dir=tmp_path, label_studio_api_key="0" * 40, **given)
    store = ProjectStore(tmp_path, "7.1")
    schema = {"id": "String", "text": "String"}
    connect(store, Pool(str(tmp_path), "parquet", "id", {"text": "text"}, schema, rows=2))
    found = []

    def run(workspace, request, options):
        found.append(workspace.outside(store, workspace.client, False).spare_cores)
        return Report(request.project_id)

    run_request(RoundRequest(7, "labels"), settings=settings, run=run)
    command = workspace(settings, client_of(settings)).outside(store, None, False)
    assert found == [left]
    assert command.spare_cores == 0
