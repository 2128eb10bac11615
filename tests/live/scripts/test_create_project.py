"""create_project against a real Label Studio."""

import json

import pytest
from processes import free_port
from support.faulty_proxy import Fault, FaultyProxy
from support.places import REPOSITORY
from support.scripts import HEADLINES, write

from ml_backend.cli import create_project
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING


def backend_answer(call):
    return 200, "application/json", json.dumps({"status": "UP", "model_class": "test", "model_version": "v"}).encode()


def hooks_of(client, project_id):
    return client.request("GET", "api/webhooks/", params={"project": project_id}).json()


def test_a_project_is_made_connected_and_found_again(run, label_studio, local_server, monkeypatch):
    monkeypatch.setenv("BASIC_AUTH_USER", "ls")
    monkeypatch.setenv("BASIC_AUTH_PASS", "pass-word")
    backend = local_server(backend_answer)
    arguments = ("--config", HEADLINES, "--title", "From a script", "--backend-url", backend.url + "/")
    first = run(create_project, *arguments)
    project = label_studio.client.find_project("From a script")
    assert f"Project {project.id}: {label_studio.url}/projects/{project.id}/data" in first.stdout
    assert "Read with headlines (minilm_multilingual or " in first.stdout
    assert project.sampling == UNCERTAINTY_SAMPLING
    assert "pass-word" not in first.output
    assert any("Authorization" in call.headers for call in backend.calls if call.path == "/health")

    label_studio.client.request("PATCH", f"api/projects/{project.id}", body={"sampling": "Sequential sampling"})
    assert run(create_project, *arguments).stdout == first.stdout
    assert label_studio.client.project(project.id).sampling == UNCERTAINTY_SAMPLING
    assert len(label_studio.client.backends(project.id)) == 1
    assert [hook["url"] for hook in hooks_of(label_studio.client, project.id)] == [f"{backend.url}/webhook"]


def test_a_release_that_nobody_tested_is_said_and_works(run, label_studio, monkeypatch):
    proxy = FaultyProxy(label_studio.url)
    proxy.start(lambda request: Fault.UNKNOWN_RELEASE if request.name == "GET api/version" else None)
    monkeypatch.setenv("LABEL_STUDIO_URL", proxy.url)
    try:
        said = run(create_project, "--config", HEADLINES, "--title", "Of a later release").stderr
    finally:
        proxy.close()
    project = label_studio.client.find_project("Of a later release")
    assert project.sampling == UNCERTAINTY_SAMPLING
    assert "Label Studio 1.99.0 was not tested" in said
    assert f"lsal doctor --project {project.id} --order 20" in said


def test_a_lost_webhook_is_made_again_and_told(run, label_studio, local_server):
    backend = local_server(backend_answer)
    arguments = ("--config", HEADLINES, "--title", "Lost webhook", "--backend-url", backend.url)
    run(create_project, *arguments)
    client = label_studio.client
    project = client.find_project("Lost webhook")
    client.request("DELETE", f"api/webhooks/{hooks_of(client, project.id)[0]['id']}/")
    assert "was missing" in run(create_project, *arguments).stderr
    (hook,) = hooks_of(client, project.id)
    assert hook["send_for_all_actions"]
    client.request("PATCH", f"api/webhooks/{hook['id']}/", body={"is_active": False})
    assert "switched off" in run(create_project, *arguments).stderr


def test_a_backend_at_a_new_address_leaves_no_webhook_behind(run, label_studio, local_server):
    first, second = local_server(backend_answer), local_server(backend_answer)
    arguments = ("--config", HEADLINES, "--title", "Moved", "--backend-url")
    run(create_project, *arguments, first.url)
    told = run(create_project, *arguments, second.url).stderr
    assert f"{first.url}/webhook led to the backend's old address" in told
    project = label_studio.client.find_project("Moved")
    assert [row["url"] for row in label_studio.client.backends(project.id)] == [second.url]
    assert [hook["url"] for hook in hooks_of(label_studio.client, project.id)] == [f"{second.url}/webhook"]


@pytest.fixture
def blocking(label_studio, monkeypatch):
    """Label Studio's answer to every backend that is connected; all else is its own."""
    proxy = FaultyProxy(label_studio.url)
    monkeypatch.setenv("LABEL_STUDIO_URL", proxy.url)
    yield lambda fault: proxy.start(lambda request: fault if request.name == "POST api/ml" else None)
    proxy.close()


def test_a_refused_private_address_names_both_settings(run, blocking):
    blocking(Fault.BLOCKED)
    url = "http://127.0.0.1:1"
    result = run(create_project, "--config", HEADLINES, "--title", "SSRF", "--backend-url", url, code=1)
    assert "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false" in result.stderr
    assert "without its webhook" not in result.stderr


def test_the_half_set_case_is_told(run, blocking, local_server):
    """With ML_BLOCK_LOCAL_IP=false alone, Label Studio answers 403 and keeps the backend without its webhook."""
    blocking(Fault.HALF_BLOCKED)
    backend = local_server(backend_answer)
    result = run(create_project, "--config", HEADLINES, "--title", "Half", "--backend-url", backend.url, code=1)
    assert "kept the backend all the same, but without its webhook" in result.stderr


def test_a_backend_that_is_down_is_told_without_talk_of_addresses(run):
    url = f"http://127.0.0.1:{free_port()}"
    result = run(create_project, "--config", HEADLINES, "--title", "Down", "--backend-url", url, code=1)
    assert "health check failed" in result.stderr
    assert "SSRF" not in result.stderr


def test_a_bad_config_is_told_before_anything_is_made(run, label_studio, tmp_path):
    config = write(tmp_path / "bad.xml", "<View><Text name='t' value='$t'/></View>")
    result = run(create_project, "--config", config, "--title", "Bad config", code=1)
    assert "no question that can be learnt" in result.stderr
    assert label_studio.client.find_project("Bad config") is None


def test_a_title_that_belongs_to_another_question_is_refused(run):
    run(create_project, "--config", HEADLINES, "--title", "One title")
    mnist = REPOSITORY / "label_configs" / "mnist.xml"
    assert "asks another question" in run(create_project, "--config", mnist, "--title", "One title", code=1).stderr
