"""What a real round and hostile requests write into the log."""

import json

import pytest

from ml_backend.config import load_settings
from ml_backend.errors import ActiveLearningError
from ml_backend.label_studio.connection import make_client
from ml_backend.rounds import serve as serving
from ml_backend.rounds.from_settings import run_request
from ml_backend.rounds.log import rounds
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app
from ml_backend.store.registry import stores_of

CONTENT = "zebra crossing flooded"
PIXEL = "iVBORw0KGgoAAAANSUhEUg"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_of_secrets_or_tasks_is_logged_by_rounds_and_requests(
    label_studio, make_project, tmp_path, logs, log_format, monkeypatch
):
    """At DEBUG: a round of texts, one of images, one that fails by an error with a task in it, and hostile requests."""
    texts = make_project("headlines", [{"text": f"{CONTENT} {number}"} for number in range(6)] + [{"text": ""}])
    images = make_project("mnist", 3)
    broken = {"image": f"data:image/png;base64,{PIXEL}=broken"}
    images.client.import_tasks(images.id, [{"data": broken}])
    for task_id, label in zip(texts.task_ids[:4], ("related", "not related") * 2, strict=True):
        texts.client.annotate(task_id, texts.answer(label))
    given = {
        "label_studio_url": label_studio.url,
        "label_studio_api_key": label_studio.token,
        "model_dir": tmp_path,
        "basic_auth_user": "studio",
        "basic_auth_pass": "right-password",
    }
    logs(log_format=log_format, log_level="DEBUG", **given)
    settings = load_settings(**given)
    web, auth = create_app(settings).test_client(), ("studio", "right-password")
    stores_of(settings).get(texts.project.uid).set_extra_params({"queue_size": 5, "hyperparameters": {"steps": 5}})
    done = run_request(RoundRequest(texts.id), settings=settings)
    run_request(RoundRequest(images.id), settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(serving, "publish", lambda *_, **__: int(CONTENT))
        with pytest.raises(ActiveLearningError, match=r"The round failed \(ValueError\); the log says where"):
            run_request(RoundRequest(texts.id), settings=settings)
    for project in (texts, images):
        tasks = [{"id": 1, "data": broken | {"text": CONTENT}}, {"id": 2, "data": {"text": "", "image": ""}}]
        body = {"project": project.project.uid, "label_config": project.project.label_config, "tasks": tasks}
        assert web.post("/predict", json=body, auth=auth).status_code == 200
        assert web.post("/predict", json=body, auth=("studio", "wrong-password")).status_code == 401
        setup = {"project": project.project.uid, "schema": CONTENT, "access_token": label_studio.token}
        assert web.post("/setup", json=setup, auth=auth).status_code == 422
    make_client(settings).close()
    make_client.cache_clear()

    text = logs.text()
    secrets = (label_studio.token, "right-password", "wrong-password")
    for hidden in (*secrets, CONTENT, "zebra", PIXEL, "data:image"):
        assert hidden not in text, [line for line in text.splitlines() if hidden in line][:3]
    assert f"{texts.id}" in text
    assert "cannot be read and is served last" in text
    ids = {line["round"] for project in (texts, images) for line in rounds(stores_of(settings).open(project.id))}
    assert len(ids) == 3
    if log_format == "text":
        assert all(f"round={round_id}" in text for round_id in ids)
        assert f"version={done['version']}]" in text
        return
    lines = [json.loads(line) for line in text.splitlines()]
    made = [line for line in lines if "round" in line]
    assert {line["round"] for line in made} == ids
    assert all(line.keys() >= {"project", "version", "round", "level", "message"} for line in made)
    fit = next(line for line in made if line["message"].startswith("step store"))
    assert (fit["project"], fit["version"]) == (texts.id, done["version"])
    failed = next(line for line in made if line["level"] == "ERROR")
    assert failed["exception"].endswith("ValueError")
    assert failed["message"] == "round failed; the old order stands: unforeseen ValueError"
