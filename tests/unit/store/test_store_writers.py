"""Several writers of one store, and writers that are killed: whole or not at all, whatever happens in between."""

import subprocess
import sys
import threading

import pytest
import torch
from support.places import REPOSITORY
from support.stores import WEIGHTS, manifest

from ml_backend.errors import StoreError
from ml_backend.store.project_store import ProjectStore


@pytest.fixture
def store(tmp_path):
    return ProjectStore(tmp_path, "7.1700000000")


def test_threads_may_write_the_same_file_at_once(store):
    failed = []

    def write(number):
        try:
            for turn in range(20):
                store.set_extra_params({"seed": number * 100 + turn})
        except StoreError as exc:
            failed.append(exc)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert store.extra_params()["seed"] % 100 == 19


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.stores import WEIGHTS, broken_at, manifest
from ml_backend.store.project_store import ProjectStore

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def run(name, work, kill_after=None):
    store = ProjectStore(Path(sys.argv[1]), name)
    child = os.fork()
    if child == 0:
        work(store)
        os._exit(0)
    if kill_after is not None:
        while not store.versions():  # a busy disk may take long for the first
            time.sleep(0.005)
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

def at(step):
    def work(store):
        store.write_version(manifest(1), WEIGHTS)
        broken, weights = broken_at(step, store, die)
        broken.write_version(manifest(2), weights)
    return work

def forever(store):
    for number in range(1, 100000):
        with store.lock():
            store.write_version(manifest(number), WEIGHTS)

for step in ("content", "sync", "rename"):
    run(step, at(step))
for turn in range(6):
    run(f"random-{turn}", forever, random.uniform(0, 0.13))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Stores whose writer was killed: at three places, and at six random times."""
    root = tmp_path_factory.mktemp("killed")
    tests = str(REPOSITORY / "tests")
    subprocess.run([sys.executable, "-c", KILLED, str(root), tests], check=True, timeout=120)
    return root


@pytest.mark.parametrize("at", ["content", "sync", "rename"])
def test_a_killed_writer_leaves_only_what_the_next_one_removes(killed, at):
    store = ProjectStore(killed, at)
    assert store.versions() == ["m-0001-0123abcd"]
    assert list((store.folder / "versions").glob(".tmp-*"))
    store.write_version(manifest(2), WEIGHTS)
    assert store.versions() == ["m-0001-0123abcd", "m-0002-0123abcd"]
    assert not list((store.folder / "versions").glob(".tmp-*"))


def test_no_kill_ever_leaves_a_torn_version_or_a_held_lock(killed):
    for turn in range(6):
        store = ProjectStore(killed, f"random-{turn}")
        names = store.versions()
        assert names
        for name in names:
            assert store.manifest(name).name == name
            assert torch.equal(store.weights(name)["w"], WEIGHTS["w"])
        with store.lock():
            pass


def test_the_lock_excludes_another_process(store):
    code = (
        "import sys; from pathlib import Path; from ml_backend.errors import StoreError\n"
        "from ml_backend.store.project_store import ProjectStore\n"
        "try:\n    ProjectStore(Path(sys.argv[1]), sys.argv[2]).lock().__enter__()\n"
        "except StoreError as exc: print(exc)\nelse: print('free')"
    )
    command = [sys.executable, "-c", code, str(store.folder.parent), store.uid]
    with store.lock():
        refused = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "Another process is working on this project" in refused
    assert "try again" in refused
    assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout == "free\n"


RACE = """
import os, sys, traceback
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import torch
from support.stores import manifest
from ml_backend.store.project_store import ProjectStore

store = ProjectStore(Path(sys.argv[1]), sys.argv[2])

def write(told):
    for turn in range(10):
        with store.lock(timeout=60):
            name = store.next_version_name("m", "0123abcd" * 8)
            number = int(name.split("-")[1])
            # Two megabytes: long enough to be caught half-way, were it not for the rename.
            store.write_version(manifest(number, name), {"w": torch.full((500_000,), float(number))})
            print(name, file=told, flush=True)

def read(told):
    read, names = 0, []
    while len(names) < 20:
        names = store.versions()
        for name in names:
            number = store.manifest(name).number
            weights = store.weights(name)["w"]
            assert weights.shape == (500_000,) and torch.all(weights == number), name
            read += 1
    print(read, file=told, flush=True)

children = []
for name, work in (("first", write), ("second", write), ("read", read)):  # one import of torch for the three
    child = os.fork()
    if child == 0:
        try:
            with open(Path(sys.argv[4]) / name, "w") as told:
                work(told)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def test_two_writers_never_write_one_version_and_a_reader_sees_only_whole_ones(store, tmp_path_factory):
    told = tmp_path_factory.mktemp("told")
    arguments = [str(store.folder.parent), store.uid, str(REPOSITORY / "tests"), str(told)]
    done = subprocess.run([sys.executable, "-c", RACE, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second, read = ((told / name).read_text().split() for name in ("first", "second", "read"))
    assert (len(first), len(second)) == (10, 10)
    assert sorted(first + second) == store.versions()
    assert len(store.versions()) == 20
    assert int(read[0]) >= 20
