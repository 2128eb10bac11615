"""A flood of webhook events while rounds run: no more rounds than the rule allows, and the server stays as it is."""

import http.client
import itertools
import json
import random
import threading
from base64 import b64encode
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from demo import start_backend
from processes import free_port
from support.waiting import until

from ml_backend.config import ProjectSettings, load_settings
from ml_backend.rounds.log import rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.project_store import ProjectStore

SENDERS = 4
FAST = {
    "strategy": "entropy",
    "hyperparameters": {"steps": 10},
    "queue_size": 3,
    "train_after_labels": 20,
    "train_after_seconds": 1,
}
WORDS = ("flood in the river", "football match tonight")
LABELS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED")
OTHERS = ("PROJECT_UPDATED", "PROJECT_CREATED", "LABEL_LINK_CREATED", "no such action", None, 7, ["START_TRAINING"])
GARBAGE = (b"", b"[]", b"{", b"null", b"\xff\xfe", b'{"action": "ANNOTATION_CREATED", "project": {"id": "1; DROP"}}')


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def event(number: int, projects: list[int], dice: random.Random) -> bytes:
    """One event: half of them relevant to a real project, the others about something else, made up, or no event."""
    kind = dice.random()
    if kind < 0.5:
        body = {"action": dice.choice(LABELS), "project": {"id": dice.choice(projects)}, "annotation": {"id": number}}
    elif kind < 0.7:
        body = {"action": dice.choice(OTHERS), "project": {"id": dice.choice(projects)}}
    elif kind < 0.9:
        body = {"action": dice.choice(LABELS), "project": {"id": 10**6 + number}}
    else:
        return dice.choice(GARBAGE)
    return json.dumps(body).encode()


@pytest.fixture
def flooded(label_studio, make_project, tmp_path):
    """Two projects after a first round each, and ``scripts/serve.py``, to which Label Studio itself says nothing."""
    projects = [make_project("headlines", [{"text": f"{WORDS[n % 2]}, {n}"} for n in range(12)]) for _ in range(2)]
    stores = []
    for project in projects:
        for task_id, label in zip(project.task_ids, ("related", "not related") * 2, strict=False):
            project.client.annotate(task_id, project.answer(label))
        store = ProjectStore(tmp_path, project.project.uid)
        store.set_extra_params(FAST)
        record_round(
            Workspace(project.client, tmp_path, ProjectSettings(text_model="headlines"), keep_queues=timedelta(0)),
            RoundRequest(project.id, "sync"),
        )
        stores.append(store)
    settings = load_settings(
        label_studio_url=label_studio.url,
        label_studio_api_key=label_studio.token,
        model_dir=tmp_path,
        port=free_port(),
        basic_auth_user="flood",
        basic_auth_pass="flood",
        poll_seconds=0,
    )
    with start_backend(settings, tmp_path / "backend.log") as server:
        yield projects, stores, settings, server


def flood_with(flooded, count, most_growth):
    """Send so many events; none may start a round that the rule does not allow, nor stay in memory."""
    projects, stores, settings, server = flooded
    ids = [project.id for project in projects]
    auth = {"Authorization": "Basic " + b64encode(b"flood:flood").decode()}
    answers, healthy = Counter(), []
    numbers = itertools.count()

    def ask(connection, method, path, body=None, headers=auth):
        connection.request(method, path, body=body, headers=headers | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def status():
        connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=60)
        try:
            return json.loads(ask(connection, "GET", "/status")[1])["projects"]
        finally:
            connection.close()

    def is_quiet():
        return all(project["next_round_in"] is None and not project["running"] for project in status().values())

    def send(seed):
        connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=60)
        dice = random.Random(seed)
        while (number := next(numbers)) < count:
            headers = {} if number % 50 == 0 else auth  # some without the password
            code, _ = ask(connection, "POST", "/webhook", event(number, ids, dice), headers)
            answers[code] += 1
            if number % 500 == 0:
                healthy.append(ask(connection, "GET", "/health", headers={})[0])
        connection.close()

    def flood():
        senders = [threading.Thread(target=send, args=(seed,)) for seed in range(SENDERS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()

    # One change first, so that what a first round loads is there before memory is compared.
    projects[0].client.annotate(projects[0].task_ids[4], projects[0].answer("related"))
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=60)
    ask(connection, "POST", "/webhook", json.dumps({"action": LABELS[0], "project": {"id": ids[0]}}).encode())
    connection.close()
    until(lambda: len(rounds(stores[0])) == 2 and is_quiet())
    before = resident(server.pid)
    projects[0].client.annotate(projects[0].task_ids[5], projects[0].answer("not related"))
    flood()
    until(is_quiet)
    assert sum(answers.values()) == count
    assert set(answers) == {200, 400, 401}, answers
    assert healthy == [200] * len(healthy)
    assert len(healthy) == count // 500
    # The one real change is one round; the other project did not change, whatever thousands of events say.
    assert [len(rounds(store)) for store in stores] == [3, 1]
    assert [line["error"] for line in rounds(stores[0])] == [None] * 3
    assert resident(server.pid) - before < most_growth
    # It still hears: the other project's change is found among the made-up ones.
    projects[1].client.annotate(projects[1].task_ids[4], projects[1].answer("related"))
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=60)
    ask(connection, "POST", "/webhook", json.dumps({"action": LABELS[0], "project": {"id": ids[1]}}).encode())
    connection.close()
    until(lambda: len(rounds(stores[1])) == 2)
