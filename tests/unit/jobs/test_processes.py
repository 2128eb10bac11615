import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from processes import (
    ServerFailed,
    ServerProcess,
    free_port,
    label_studio_command,
    label_studio_environment,
    port_is_taken,
    start_label_studio,
)
from support.waiting import until

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def python(code, tmp_path, **kwargs):
    return ServerProcess("Test server", [sys.executable, "-c", code], log=tmp_path / "server.log", **kwargs)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_free_port_can_be_bound_and_is_then_taken():
    port = free_port()
    assert not port_is_taken(port)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert port_is_taken(port)


def test_a_port_is_given_away_once_though_its_server_does_not_listen_yet():
    port = free_port()
    with pytest.raises(ServerFailed, match="all taken"):
        free_port([port])


def test_a_server_becomes_healthy_and_stops_twice(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with ServerProcess("Files", command, log=tmp_path / "logs" / "files.log", cwd=tmp_path) as server:
        assert server.wait_healthy(f"http://127.0.0.1:{port}/", 60) < 60
        assert server.running
        assert os.getpgid(server.pid) == server.pid != os.getpgid(0)
        server.stop()
        server.stop()
        assert not server.running
    assert not port_is_taken(port)
    assert "GET / " in server.log_tail()


def test_a_server_that_dies_is_told_at_once_with_the_end_of_its_log(tmp_path):
    code = "import sys; print('line 1'); print('no database'); sys.exit(3)"
    with python(code, tmp_path) as server, pytest.raises(ServerFailed) as caught:
        # Waiting for the end of these seconds would meet the limit of a test.
        server.wait_healthy(f"http://127.0.0.1:{free_port()}/health", 3600)
    assert "exit code 3" in str(caught.value)
    assert str(caught.value).endswith("no database")


def test_a_server_that_never_answers_runs_out_of_time(tmp_path):
    with python("import time; time.sleep(600)", tmp_path) as server:
        with pytest.raises(ServerFailed, match=r"did not answer at .* within 1 s(.|\n)*\(empty\)"):
            server.wait_healthy(f"http://127.0.0.1:{free_port()}/health", 1)
        assert server.running


def test_an_error_page_is_not_healthy(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with ServerProcess("Files", command, log=tmp_path / "files.log", cwd=tmp_path) as server:
        server.wait_healthy(f"http://127.0.0.1:{port}/", 60)
        with pytest.raises(ServerFailed, match="did not answer"):
            server.wait_healthy(f"http://127.0.0.1:{port}/missing", 1)


def test_stop_kills_a_stubborn_server_with_its_children_and_nothing_else(tmp_path):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        server = python(STUBBORN, tmp_path)
        until(lambda: server.log_tail().strip().isdigit(), "the child")
        child = int(server.log_tail())
        server.stop(timeout=0.5)
        until(lambda: not alive(child))
        assert not alive(server.pid)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_stopping_a_server_that_ended_by_itself_does_no_harm(tmp_path):
    server = python("pass", tmp_path)
    until(lambda: not server.running)
    server.stop()
    assert "running=False" in repr(server)


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(tmp_path):
    with python("import time; print('up', flush=True); time.sleep(600)", tmp_path) as server:
        until(lambda: "up" in server.log_tail())
        assert os.getsid(server.pid) != os.getsid(0)  # another session: no signal from our terminal


def test_secrets_are_in_the_environment_and_not_on_the_command_line(monkeypatch, tmp_path):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "somebody's")
    monkeypatch.setenv("HOST", "https://elsewhere.example")
    monkeypatch.setenv("DJANGO_DB", "default")
    env = label_studio_environment(tmp_path, "http://127.0.0.1:1", "a@example.org", "pass-word", "tok-en", {"X": "1"})
    assert not {"pass-word", "tok-en", "a@example.org"} & set(label_studio_command(1))
    assert env["LABEL_STUDIO_PASSWORD"] == "pass-word"
    assert env["X"] == "1"
    assert not {"LABEL_STUDIO_API_KEY", "HOST", "DJANGO_DB"} & set(env)


def test_label_studio_does_not_start_on_a_taken_port(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(ServerFailed, match="is taken"):
            start_label_studio(tmp_path, port=listener.getsockname()[1])
    assert not list(tmp_path.iterdir())


def test_signals_are_sent_to_the_group_only_while_it_is_ours(tmp_path):
    sent = []

    def kill_group(group, number):
        sent.append((group, number))
        os.killpg(group, number)

    server = python("import time; time.sleep(600)", tmp_path, kill_group=kill_group)
    server.stop()
    server.stop()
    assert sent[0] == (server.pid, signal.SIGTERM)
    assert {group for group, _ in sent} == {server.pid}
    assert len(sent) == 2
