"""One holder of a project across machines: the lease in a real Redis."""

import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from redis import Redis
from support.stores import QUEUE, UID, Machine, name_of, run_round, state
from support.waiting import until

from ml_backend.errors import StoreError
from ml_backend.rounds.log import append, rounds
from ml_backend.store.lease import PREFIX, Lease
from ml_backend.store.registry import StoreRegistry


@pytest.fixture
def machine(tmp_path):
    return lambda name, **options: Machine(tmp_path / name, f"file://{tmp_path / 'remote'}", **options)


@pytest.fixture
def redis(redis_url):
    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


def test_two_machines_never_hold_one_project_at_once(machine, redis, redis_url):
    here, there = machine("a", redis_url=redis_url), machine("b", redis_url=redis_url)
    with here.get(UID).lock():
        with pytest.raises(StoreError, match="Another process is working on this project"), there.get(UID).lock():
            pytest.fail("two holders")
        with there.get("8.1800000000").lock():
            pass
    inside, most, threads = [], [], []

    def work(stores, numbers):
        for number in numbers:
            with stores.get(UID).lock(timeout=60):
                inside.append(number)
                most.append(len(inside))
                store = stores.get(UID)
                append(store, {"started": f"{len(rounds(store)):02d}", "n": number})
                inside.remove(number)

    for stores, numbers in ((here, range(5)), (there, range(5, 10))):
        threads.append(threading.Thread(target=work, args=(stores, numbers)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert sorted(line["n"] for line in rounds(here.reads())) == list(range(10))  # none overwrote the other's
    assert redis.keys() == []


def test_with_a_common_folder_the_lease_is_taken_as_well(tmp_path, redis, redis_url):
    stores = StoreRegistry(tmp_path, redis_url=redis_url)
    with stores.get(UID).lock():
        assert redis.get(f"{PREFIX}{UID}")
        with pytest.raises(StoreError, match="in Redis"), Lease(redis, UID, seconds=30):
            pass
    run_round(stores, 1)
    assert redis.keys() == []


def test_a_lease_outlasts_its_time_while_its_holder_lives(redis):
    key, nearly_over = f"{PREFIX}{UID}", 20_000
    with Lease(redis, UID, seconds=30, renewals=300) as lease:
        for _ in range(2):
            redis.pexpire(key, nearly_over)
            until(lambda: redis.pttl(key) > nearly_over)
        lease.check()


def test_who_lost_the_lease_changes_nothing_any_more(machine, redis, redis_url):
    here = machine("a", redis_url=redis_url)
    there = machine("b", redis_url=redis_url)
    run_round(here, 1)
    lock = here.get(UID).lock()
    lock.__enter__()
    redis.delete(f"{PREFIX}{UID}")
    run_round(there, 2)
    with pytest.raises(StoreError, match=r"lock of project .* was lost"):
        here.get(UID).write_queue(replace(QUEUE, name="m-0001-0123abcd.bald-0002"))  # before the order is published
    with pytest.raises(StoreError, match=r"lock of project .* was lost"):
        lock.__exit__(None, None, None)
    assert state(here.reads()) == state(there.reads()) == (name_of(2), (name_of(1), name_of(2)), (1, 2))


HOLDER = """
import sys, time
from pathlib import Path
sys.path += sys.argv[4:]
from support.stores import UID, WEIGHTS, Machine, manifest

stores = Machine(Path(sys.argv[1]), sys.argv[2], redis_url=sys.argv[3])
with stores.get(UID).lock():
    stores.get(UID).write_version(manifest(2), WEIGHTS)
    print("holding", flush=True)
    time.sleep(600)
"""


def test_a_killed_holder_frees_the_project_when_its_lease_ends(tmp_path, redis, redis_url):
    url = f"file://{tmp_path / 'remote'}"
    here = Machine(tmp_path / "a", url, redis_url=redis_url)
    run_round(here, 1)
    arguments = [str(tmp_path / "b"), url, redis_url, *sys.path]
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(StoreError, match="Another process"), here.get(UID).lock():
            pytest.fail("two holders")
    finally:
        holder.kill()  # -9
        holder.communicate()
    key = f"{PREFIX}{UID}"
    assert redis.pttl(key) > 0, "its lease has an end"
    redis.pexpire(key, 1)  # as if it had come
    run_round(here, 2, timeout=60)
    assert state(here.reads()) == (name_of(2), (name_of(1), name_of(2)), (1, 2))
