"""What all scripts that speak to Label Studio share: settings, token, errors."""

import contextlib
import os
import pty
import signal
import sys
import threading

import pytest
from processes import free_port
from support.places import REPOSITORY
from support.scripts import HEADLINES, SCRIPTS
from typer.testing import CliRunner

from ml_backend.cli import create_project, export_annotations
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.label_studio.queue_names import QueueName, parse_queue_name, queue_name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_help_needs_no_settings_and_takes_no_token(script, monkeypatch):
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    shown = CliRunner().invoke(script.app, ["--help"])
    assert shown.exit_code == 0
    assert "--url" in shown.output
    assert "--verbose" in shown.output
    assert "--token" not in shown.output


def test_no_token_is_one_line_with_the_variable_to_set(run, monkeypatch, tmp_path):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    result = run(export_annotations, "--project", 1, "--out", tmp_path / "a.json", code=1)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "LABEL_STUDIO_API_KEY is not set" in result.stderr


def test_a_token_is_asked_for_where_a_person_sits_at_a_terminal(label_studio):
    """A real terminal: what is typed at the prompt is not shown."""
    script = str(REPOSITORY / "scripts" / "create_project.py")
    process, terminal = pty.fork()
    if process == 0:
        os.environ.pop("LABEL_STUDIO_API_KEY", None)
        os.environ["LABEL_STUDIO_URL"] = label_studio.url
        os.execv(sys.executable, [sys.executable, script, "--config", HEADLINES, "--title", "asked"])
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        shown = until_shown(screen, b"Access token for " + label_studio.url.encode())
        screen.write(f" {label_studio.token} \n".encode())
        shown += until_shown(screen, b"Project ")
        with contextlib.suppress(OSError):  # its end closes the terminal
            while more := screen.read(4096):
                shown += more
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, shown
    assert label_studio.token.encode() not in shown
    assert label_studio.client.find_project("asked")


def until_shown(screen, text):
    """What a terminal shows up to some text."""
    shown = b""
    while text not in shown:
        shown += screen.read(4096)
    return shown


def test_errors_are_one_line_and_a_traceback_on_request(run, tmp_path):
    arguments = ("--project", 1, "--out", tmp_path / "a.json", "--url", f"http://127.0.0.1:{free_port()}")
    result = run(export_annotations, *arguments, code=1)
    assert result.stderr.startswith("Error: No Label Studio answers at http://127.0.0.1:")
    assert result.stderr.count("\n") == 1
    assert "Traceback" in run(export_annotations, *arguments, "--verbose", code=1).stderr


def test_an_error_message_is_no_markup(run, tmp_path):
    result = run(create_project, "--config", tmp_path / "[red]x[/bold].xml", "--title", "No markup", code=1)
    assert "[red]x[/bold].xml cannot be read" in result.stderr


def test_ctrl_c_ends_with_130_and_a_plain_line(run, local_server, tmp_path):
    over = threading.Event()

    def press(call):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # it waits for this answer
        over.wait(600)
        return 200, "application/json", b"{}"

    server = local_server(press)
    result = run(export_annotations, "--project", 1, "--out", tmp_path / "a.json", "--url", server.url, code=130)
    over.set()
    assert result.stderr.split() == ["Interrupted."]
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("start.random-0001", QueueName(None, "random", 1)),
        ("mnist_cnn-0003-1a2b3c4d.dropout_entropy-0007", QueueName("mnist_cnn-0003-1a2b3c4d", "dropout_entropy", 7)),
        ("m-0001-00ff00ff.k-center-12345", QueueName("m-0001-00ff00ff", "k-center", 12345)),
    ],
)
def test_queue_names_are_written_and_read(name, parts):
    assert parse_queue_name(name) == parts
    assert queue_name(parts.version, parts.strategy, parts.number) == name == str(parts)


@pytest.mark.parametrize(
    "name",
    [None, "", "Active learning", "v1", "a.b", "a.b-1", ".b-0001", "a.-0001", "a.b.c-0001", "a b.c-0001", "a.b-0001\n"],
)
def test_other_names_are_no_queue_names(name):
    assert parse_queue_name(name) is None


@pytest.mark.parametrize(
    "parts",
    [("a.b", "entropy", 1), ("a", "my strategy", 1), ("a", "", 1), ("", "x", 1), ("start", "x", 1), ("a", "x", -1)],
)
def test_a_queue_name_that_could_not_be_read_again_is_refused(parts):
    with pytest.raises(ValueError, match="No queue can be named"):
        queue_name(*parts)


def test_the_example_configs_are_questions_that_we_support():
    for path in (REPOSITORY / "label_configs").glob("*.xml"):
        assert parse_label_config(path.read_text(encoding="utf-8"), project=path.name).labels
