"""Who may ask the server: every route, with and without basic auth."""

import base64

import pytest
from pydantic import SecretStr
from support.requested import TOKEN, projects

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.webhook_secret import HEADER, read_webhook_secret, rotate_webhook_secret
from ml_backend.server import create_app

ROUTES = [
    ("POST", "/setup"),
    ("POST", "/predict"),
    ("POST", "/webhook"),
    ("GET", "/status"),
    ("GET", "/metrics"),
    ("GET", "/versions"),
    ("POST", "/versions"),
    ("POST", "/validate"),
    ("POST", "/job_status"),
    ("POST", "/rounds/cancel"),
    ("GET", "/is_training"),
    ("POST", "/delete"),
    ("POST", "/duplicate_model"),
]
DASHBOARD = [
    ("GET", "/dashboard/"),
    ("GET", "/dashboard/7/overview"),
    ("GET", "/dashboard/_dash-layout"),
    ("GET", "/dashboard/assets/dashboard.css"),
    ("GET", "/dashboard/api/projects"),
    ("GET", "/dashboard/7/media/1"),
    ("GET", "/dashboard/7/versions/m-0001.zip"),
    ("POST", "/dashboard/_dash-update-component"),
]


@pytest.mark.parametrize("path", ["/", "/health"])
def test_health(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json["status"]) == (200, "UP")


def locked(settings):
    return create_app(Settings(model_dir=settings.model_dir, basic_auth_user="u", basic_auth_pass="päss")).test_client()


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_table_of_routes_is_complete(client):
    rules = [r for r in client.application.url_map.iter_rules() if not r.rule.startswith("/dashboard/")]
    served = {(method, rule.rule) for rule in rules for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert served == {*ROUTES, ("GET", "/"), ("GET", "/health")}


@pytest.mark.parametrize(("method", "path"), ROUTES + DASHBOARD)
def test_all_but_health_asks_for_basic_auth_where_it_is_set(settings, method, path):
    client = locked(settings)
    refusals = [{}, basic("u", "wrong"), basic("x", "päss"), basic("", ""), {"Authorization": "Token " + TOKEN}]
    for headers in refusals:
        answer = client.open(path, method=method, headers=headers, json={})
        assert answer.status_code == 401, headers
        assert "Wrong or missing basic auth" in answer.status
    with client.open(path, method=method, headers=basic("u", "päss"), json={}) as answer:
        assert answer.status_code != 401


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_password_in_either_encoding_is_right(settings, encoding):
    """Label Studio's client writes Latin-1, browsers write UTF-8."""
    header = "Basic " + base64.b64encode("u:päss".encode(encoding)).decode()
    client = locked(settings)
    assert client.get("/status", headers={"Authorization": header}).status_code == 200
    for odd in ("Basic", "Basic !", "Basic é", "Basic dQ==", "Basic " + "A" * 10_000, "basic", "Digest x", " "):
        assert client.get("/status", headers={"Authorization": odd}).status_code in (401, 429)


def test_a_webhooks_secret_opens_the_webhook_for_news_and_nothing_else(settings):
    settings = settings.model_copy(update={"basic_auth_user": "u", "basic_auth_pass": SecretStr("päss")})
    client = create_app(settings, projects=projects(settings)).test_client()
    secret = {HEADER: read_webhook_secret(settings).current}
    news = {"action": "ANNOTATION_CREATED", "project": {"id": 7}}
    assert client.post("/webhook", json=news, headers=secret).status_code == 200
    assert client.post("/webhook", json=news, headers=basic("u", "päss")).status_code == 200, "as in older releases"
    for wrong in ("", "x", secret[HEADER][:-1], "é" * 43):
        assert client.post("/webhook", json=news, headers={HEADER: wrong.encode()}).status_code == 401
    training = {"action": "START_TRAINING", "project": {"id": 7}}
    assert client.post("/webhook", json=training, headers=secret).status_code == 403
    for method, path in ROUTES + DASHBOARD:
        if path != "/webhook":
            assert client.open(path, method=method, headers=secret, json={}).status_code == 401, path
    now = rotate_webhook_secret(settings)
    assert client.post("/webhook", json=news, headers=secret).status_code == 200, "until it is changed once more"
    assert client.post("/webhook", json=news, headers={HEADER: now.current}).status_code == 200
    rotate_webhook_secret(settings)
    assert client.post("/webhook", json=news, headers=secret).status_code == 401


def test_health_is_open(settings):
    assert locked(settings).get("/health").status_code == 200


@pytest.mark.parametrize("half", [{"basic_auth_user": "u"}, {"basic_auth_pass": "p"}])
def test_half_of_basic_auth_is_a_mistake(tmp_path, half):
    with pytest.raises(ConfigurationError, match="both BASIC_AUTH_USER and BASIC_AUTH_PASS"):
        create_app(Settings(model_dir=tmp_path, **half))
