"""Settings: defaults, names in the environment, and errors that name the variable and keep secrets."""

from pathlib import Path

import pytest

from ml_backend.config import ProjectSettings, Settings, load_settings
from ml_backend.errors import ConfigurationError
from ml_backend.strategies.registry import STRATEGIES

SECRET = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def environment(monkeypatch):
    def set_all(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


# --- installation ------------------------------------------------------------------------------------------------


def test_defaults():
    settings = load_settings()
    assert settings.label_studio_url == "http://127.0.0.1:8080"
    assert settings.label_studio_api_key is None
    assert (settings.host, settings.port) == ("127.0.0.1", 9090)
    assert (settings.basic_auth_user, settings.basic_auth_pass) == (None, None)
    assert settings.model_dir == Path("versions")
    assert settings.project_defaults() == ProjectSettings()
    assert (settings.strategy, settings.queue_size) == ("auto", 200)


def test_the_environment_is_read_under_these_names(environment):
    environment(
        LABEL_STUDIO_URL="https://labels.example.org/app/",
        LABEL_STUDIO_API_KEY=SECRET,
        MODEL_DIR="/data/versions",
        HOST="0.0.0.0",
        PORT="9999",
        BASIC_AUTH_USER="studio",
        BASIC_AUTH_PASS="pass",
        REQUEST_TIMEOUT="7.5",
        KEEP_VERSIONS="3",
        POLL_SECONDS="0",
        LOG_LEVEL="DEBUG",
        STRATEGY="bald",
        QUEUE_SIZE="50",
    )
    settings = load_settings()
    assert settings.label_studio_url == "https://labels.example.org/app"
    assert settings.label_studio_api_key.get_secret_value() == SECRET
    assert settings.model_dir == Path("/data/versions")
    assert (settings.host, settings.port) == ("0.0.0.0", 9999)
    assert settings.basic_auth_user == "studio"
    assert settings.basic_auth_pass.get_secret_value() == "pass"
    assert (settings.request_timeout, settings.keep_versions, settings.log_level) == (7.5, 3, "DEBUG")
    assert settings.poll_seconds == 0
    defaults = settings.project_defaults()
    assert (defaults.strategy, defaults.queue_size) == ("bald", 50)


def test_an_empty_variable_is_one_that_is_not_set(environment):
    environment(LABEL_STUDIO_URL="", LABEL_STUDIO_API_KEY="", PORT="", BASIC_AUTH_USER="")
    settings = load_settings()
    assert settings.label_studio_url == "http://127.0.0.1:8080"
    assert (settings.label_studio_api_key, settings.port, settings.basic_auth_user) == (None, 9090, None)


def test_an_option_wins_over_the_environment_and_none_is_no_option(environment):
    environment(PORT="9999", HOST="10.0.0.1")
    settings = load_settings(port=1234, host=None)
    assert (settings.port, settings.host) == (1234, "10.0.0.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LABEL_STUDIO_URL", "label-studio:8080"),
        ("LABEL_STUDIO_URL", SECRET),
        ("PORT", "ninety"),
        ("PORT", "70000"),
        ("REQUEST_TIMEOUT", "0"),
        ("KEEP_VERSIONS", "1"),
        ("POLL_SECONDS", "-1"),
        ("POLL_SECONDS", "inf"),
        ("QUEUE_SIZE", "0"),
        ("QUEUE_SIZE", "1000000"),
        ("STRATEGY", "entropie"),
        ("LOG_LEVEL", "LOUD"),
        ("LABEL_STUDIO_PUBLIC_URL", "labels.example"),
        ("LABEL_STUDIO_NAMES", "http://127.0.0.1:8080, labels.example"),
        ("CA_FILE", "/nowhere/ca.pem"),
        ("CA_FILE", __file__),
        ("MEDIA_ALLOW", "10.0.0.0/99/1"),
    ],
)
def test_a_bad_value_names_its_variable(environment, name, value):
    environment(**{"LABEL_STUDIO_API_KEY": SECRET, name: value})
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert f"{name}: " in str(error.value)
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


def test_all_bad_values_are_named_at_once(environment):
    environment(PORT="ninety", KEEP_VERSIONS="none")
    with pytest.raises(ConfigurationError, match=r"PORT: .*KEEP_VERSIONS: "):
        load_settings()


def test_an_unknown_name_is_an_error_that_names_what_is_near():
    with pytest.raises(ConfigurationError, match=r"QUEUE_SIZES: no setting has this name; did you mean QUEUE_SIZE\?"):
        load_settings(queue_sizes=50)
    with pytest.raises(ConfigurationError, match=r"COLOUR: no setting has this name$"):
        load_settings(colour="red")


def test_an_unknown_variable_may_be_somebody_elses(environment):
    environment(QUEUE_SIZES="50", LABEL_STUDIO_HOST="x", MODEL_DIRS="y")
    assert load_settings().queue_size == 200


def test_the_case_of_a_log_level_does_not_matter(environment):
    environment(LOG_LEVEL="debug")
    assert load_settings().log_level == "DEBUG"


def test_secrets_are_hidden(environment):
    environment(LABEL_STUDIO_API_KEY=SECRET, BASIC_AUTH_USER="studio", BASIC_AUTH_PASS="open sesame")
    settings = load_settings()
    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert SECRET not in shown
        assert "open sesame" not in shown


@pytest.mark.parametrize("model", [Settings, ProjectSettings])
def test_every_setting_has_a_help_text(model):
    assert all(field.description for field in model.model_fields.values())


# --- one project -------------------------------------------------------------------------------------------------


def test_an_override_is_a_changed_copy():
    defaults = ProjectSettings()
    changed = defaults.override({"strategy": "bald", "queue_size": 5}, where="here")
    assert (changed.strategy, changed.queue_size, changed.seed) == ("bald", 5, 0)
    assert (defaults.strategy, defaults.queue_size) == ("auto", 200)
    assert defaults.override(None, where="here") == defaults.override({}, where="here") == defaults


@pytest.mark.parametrize("strategy", [*STRATEGIES, "entropy:0.8,novelty:0.1,random:0.1"])
def test_every_strategy_can_be_chosen(strategy):
    assert ProjectSettings().override({"strategy": strategy}, where="here").strategy == strategy


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"strategy": "best"}, "strategy: Unknown strategy 'best'; choose one of: " + ", ".join(STRATEGIES)),
        ({"strategy": "entropy:0.8,random:0.1"}, "strategy: The shares of mixture"),
        ({"stratgy": "bald"}, "stratgy: no setting has this name; did you mean strategy?"),
        ({"samples": 1}, "samples: "),
        ({"queue_size": 0}, "queue_size: "),
        ({"queue_size": "many"}, "queue_size: "),
        ({"seed": -1}, "seed: "),
        ({"train_after_labels": 0}, "train_after_labels: "),
        ({"train_after_seconds": -1}, "train_after_seconds: "),
        ({"train_after_seconds": "inf"}, "train_after_seconds: "),
        ({"hyperparameters": [1]}, "hyperparameters: "),
    ],
)
def test_a_wrong_override_says_where(changes, reason):
    with pytest.raises(ConfigurationError) as error:
        ProjectSettings().override(changes, where="Extra params of project 7")
    assert str(error.value).startswith("Extra params of project 7: ")
    assert reason in str(error.value)


def test_a_token_typed_into_the_wrong_place_is_not_repeated():
    with pytest.raises(ConfigurationError) as error:
        ProjectSettings().override({"api_key": SECRET, "queue_size": SECRET}, where="Extra params")
    assert SECRET not in str(error.value)
    assert "api_key: " in str(error.value)
