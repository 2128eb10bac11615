"""Stores shared through a remote: two machines, faults in every step, and readers that never see half a state."""

import json
import threading
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

import pytest
import torch
from support.logs import said
from support.stores import QUEUE, UID, WEIGHTS, Machine, manifest, name_of, run_round, state
from support.waiting import until

from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.rounds.log import Seen, append, last_seen, rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.report import Report
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.looks import READ_EVERY
from ml_backend.store.project_store import Current
from ml_backend.store.registry import StoreRegistry
from ml_backend.store.remote import OBJECTS, Remote, shown_url
from ml_backend.store.shared_folder import HEAD

FOLDER = f"project-{UID}"


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path):
    return f"file://{tmp_path / 'remote'}" if request.param == "file" else f"memory://{uuid4().hex}"


@pytest.fixture
def machine(tmp_path, url):
    return lambda name, **options: Machine(tmp_path / name, url, **options)


def fail_after(work, error):
    work()
    raise error


# --- what one machine does reaches the others --------------------------------------------------------------------


def test_a_round_reaches_another_machine_whole(machine):
    here, there = machine("a"), machine("b")
    assert state(there.get(UID)) is None
    run_round(here, 1)
    assert state(there.get(UID)) is None  # looked a moment ago
    store = there.reads()
    assert state(store) == state(here.get(UID)) == (name_of(1), (name_of(1),), (1,))
    assert torch.equal(store.weights(name_of(1))["w"], WEIGHTS["w"])
    files = [f"versions/{name_of(1)}/model.json", "current.json", f"queues/{store.current().queue}.json"]
    for file in files:  # also when it was written: the doctor tells the age of an order by it
        assert (store.folder / file).stat().st_mtime == (here.get(UID).folder / file).stat().st_mtime


def test_either_machine_goes_on_where_the_other_stopped(machine):
    here, there = machine("a"), machine("b")
    for number, stores in enumerate((here, there, there, here), 1):
        run_round(stores, number, keep=3)
    wanted = (name_of(4), tuple(map(name_of, (2, 3, 4))), (1, 2, 3, 4))
    assert state(here.reads()) == state(there.reads()) == wanted


def test_a_rollback_a_changed_verdict_and_a_deletion_reach_the_other_machine(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    run_round(here, 2)
    assert state(there.reads())[0] == name_of(2)
    store = here.get(UID)
    with store.lock():
        first = f"{name_of(1)}.bald-0001"
        store.set_current(Current(name_of(1), first, name_of(1)))
        store.update_manifest(manifest(2).model_copy(update={"promoted": False}))
    seen = there.reads()
    assert seen.current() == Current(name_of(1), first, name_of(1))
    assert not seen.manifest(name_of(2)).promoted
    with store.lock():
        store.delete_version(name_of(2))
    there.reads()  # readers there may still have been about to load it; now it goes
    run_round(here, 3)
    assert there.reads().versions() == [name_of(1), name_of(3)]


def test_nothing_is_left_at_the_remote_that_nobody_names(machine):
    here = machine("a")
    for number in range(1, 6):
        run_round(here, number, keep=2, weights={"w": torch.full((10,), float(number))})
    named = {entry["sha256"] for entry in json.loads(here.remote.read(f"{FOLDER}/{HEAD}"))["files"].values()}
    assert set(here.remote.objects(FOLDER)) == named
    weights = {p.name for p in (here.get(UID).folder / "versions").iterdir()}
    assert weights == {name_of(4), name_of(5)}


def test_extra_params_reach_the_other_machine_at_once_and_both_ways(machine):
    here, there = machine("a"), machine("b")
    here.get(UID).set_extra_params({"strategy": "bald"})
    assert there.get(UID).extra_params() == {"strategy": "bald"}
    with there.get(UID).lock():  # also while a round runs there
        there.reads().set_extra_params({"seed": 3})
        assert here.reads().extra_params() == {"seed": 3}
    assert there.reads().extra_params() == {"seed": 3}


def test_projects_that_only_the_remote_knows_are_found(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    here.get("8.1800000000").set_extra_params({})
    there.remote.replace("project-../x", b"")
    assert there.open(7).current().version == name_of(1)
    there.now += READ_EVERY
    assert sorted(there.known()) == [7, 8]
    assert there.open(9) is None


def test_what_was_stored_here_before_is_shared_by_the_first_round(machine, tmp_path):
    StoreRegistry(tmp_path / "a").get(UID).set_extra_params({"seed": 1})
    run_round(StoreRegistry(tmp_path / "a"), 1)
    here, there = machine("a"), machine("b")
    assert state(here.get(UID))[0] == name_of(1)
    run_round(here, 2)
    assert state(there.get(UID)) == (name_of(2), (name_of(1), name_of(2)), (1, 2))
    assert there.get(UID).extra_params() == {"seed": 1}


def test_rounds_that_two_machines_logged_are_merged(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    there.reads()
    append(there.get(UID), {"started": "2024-05-01T00:00:02+00:00", "n": "refused there"})  # without the lock
    run_round(here, 3)
    assert [line["n"] for line in rounds(there.reads())] == [1, "refused there", 3]
    run_round(there, 4)
    assert [line["n"] for line in rounds(here.reads())] == [1, "refused there", 3, 4]


def test_a_refused_round_is_logged_without_the_lock_and_shared_by_the_next_one(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    workspace = Workspace(SimpleNamespace(), here.root, stores=here)

    def refused(*_, **__):
        fail_after(here.get(UID).versions, StoreError("held"))

    with here.get(UID).lock(), pytest.raises(StoreError, match="held"):
        record_round(workspace, RoundRequest(7), new_id=lambda: "refused", run=refused, patience=0.1)
    assert rounds(here.reads())[-1]["round"] == "refused"
    assert rounds(there.reads())[-1]["round"] == "refused"  # it was there as the lock was let go
    record_round(
        workspace, RoundRequest(7), new_id=lambda: "good", run=lambda *_, **__: Report(7, seen=Seen(1, 1, "now"))
    )
    assert [line["round"] for line in rounds(there.reads())[1:]] == ["refused", "good"]
    assert last_seen(there.get(UID)) == Seen(1, 1, "now")  # no machine starts a round for that


def test_a_new_order_is_shared_before_its_round_ends(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    with here.get(UID).lock():
        here.get(UID).set_current(Current(None, None))
        assert there.reads().current() == Current()  # annotators have it: measuring may take a while yet


# --- faults ------------------------------------------------------------------------------------------------------


class Failing(Remote):
    """A remote that fails from its n-th write on."""

    left = 10**9

    def _try(self, what, call):
        if what != "read" and what != "list":
            if self.left <= 0:
                raise StoreError(f"Cannot {what} the shared store (out of space).")
            self.left -= 1
        return super()._try(what, call)


def test_a_remote_that_fails_at_any_step_of_a_push_leaves_the_old_state_to_all(machine, url):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    before = state(there.reads())
    here._remote = Failing(url)
    failures = 0
    for writes in range(10):
        here._remote.left = writes
        try:
            run_round(here, 2, weights={"w": torch.full((10,), float(writes))})
        except StoreError:
            failures += 1
        seen = state(there.reads())
        if seen[0] == name_of(2):
            break
        assert seen == before
    assert failures >= 2  # at least: uploading and replacing the head
    assert seen[:2] == (name_of(2), (name_of(1), name_of(2)))
    here._remote.left = 10**9
    run_round(here, 3)
    assert state(there.reads())[0] == name_of(3)


def test_a_failure_before_label_studio_hears_of_the_order_is_told_then(machine, url):
    here = machine("a")
    run_round(here, 1)
    here._remote = Failing(url)
    here._remote.left = 0
    with pytest.raises(StoreError, match="out of space"), here.get(UID).lock():
        here.get(UID).write_queue(replace(QUEUE, name="m-0001-0123abcd.bald-0002"))


def test_what_a_killed_round_left_is_dropped_and_never_shared(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    here.get(UID).write_version(manifest(2), WEIGHTS)  # a round that was killed before its end
    here.get(UID).set_current(Current(name_of(2), None))
    assert state(there.reads())[0] == name_of(1)
    with here.get(UID).lock():
        assert state(here.get(UID)) == (name_of(1), (name_of(1),), (1,))


def test_what_stands_after_a_failed_round_is_shared(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    store = here.get(UID)
    with pytest.raises(StoreError, match="No current"), store.lock():
        fail_after(lambda: store.write_version(manifest(2), WEIGHTS), StoreError("No current"))
    assert state(there.reads()) == (name_of(1), (name_of(1), name_of(2)), (1,))


def test_without_redis_the_second_of_two_writers_shares_nothing(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    lock = here.get(UID).lock()
    lock.__enter__()
    run_round(there, 2)
    for last in (lambda: here.get(UID).set_current(Current(None, None)), lambda: lock.__exit__(None, None, None)):
        with pytest.raises(StoreError, match=r"Another machine changed .* same REDIS_URL"):
            last()
    assert state(there.reads()) == state(here.reads()) == (name_of(2), (name_of(1), name_of(2)), (1, 2))


def test_readers_serve_what_they_have_while_the_remote_fails(machine, url, caplog):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    before = state(there.reads())

    class Gone(Remote):
        def _try(self, what, call):
            raise StoreError("Cannot read the shared store (gone).")

    working, there._remote = there._remote, Gone(url)
    run_round(here, 2)
    assert state(there.reads()) == state(there.reads()) == before
    assert there.known()[7].uid == UID
    assert said(caplog, "ml_backend.store.registry") == [
        "the shared store fails, so the local copy is served: Cannot read the shared store (gone)."
    ]
    with pytest.raises(StoreError, match="gone"):  # "untrained" would be wrong
        there.get("9.1900000000")
    there._remote = working
    assert state(there.reads())[0] == name_of(2)


def test_a_request_does_not_wait_for_a_remote_that_does_not_answer(machine, url):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    before = state(there.reads())
    run_round(here, 2)
    answers = threading.Event()

    class Slow(Remote):
        def _try(self, what, call):
            assert answers.wait(60)
            return super()._try(what, call)

    there._remote, there.patience = Slow(url), 0.05
    assert state(there.reads()) == state(there.reads()) == before
    assert list(there.known()) == [7]
    answers.set()
    there.patience = 60.0
    until(lambda: state(there.reads())[0] == name_of(2))


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"files": {"../x": {"sha256": "", "size": 0, "mtime": 0}}}', '{"files": {"a": 1}}']
)
def test_a_damaged_head_is_told_and_never_followed(machine, damage):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    there.remote.replace(f"{FOLDER}/{HEAD}", damage.encode())
    with pytest.raises(StoreError, match=r"head.json is damaged; delete the folder"):
        there.get(UID)
    assert state(here.reads())[0] == name_of(1)


def test_a_damaged_or_missing_object_is_never_taken(machine):
    here, there = machine("a"), machine("b")
    run_round(here, 1)
    digest = json.loads(here.remote.read(f"{FOLDER}/{HEAD}"))["files"]["current.json"]["sha256"]
    there.remote.replace(f"{FOLDER}/{OBJECTS}/{digest}", b'{"version": "other"}')
    with pytest.raises(StoreError, match="damaged"):
        there.get(UID)
    there.remote.delete(FOLDER, {digest})
    with pytest.raises(StoreError, match="missing"):
        there.reads()
    assert not (there.root / FOLDER / "current.json").exists()


def test_a_reader_among_many_rounds_sees_whole_states_only(tmp_path):
    url = f"file://{tmp_path / 'remote'}"
    here, there = Machine(tmp_path / "a", url), Machine(tmp_path / "b", url)
    seen, failed, over = set(), [], threading.Event()

    def read():
        try:
            while not over.is_set():
                found = state(there.reads())
                seen.add(found and found[0])
        except BaseException as exc:
            failed.append(exc)
            raise

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 16):
            run_round(here, number, keep=2, weights={"w": torch.full((100_000,), float(number))})
            if number % 5 == 0:  # how many of the others it sees is the machine's affair
                until(lambda number=number: name_of(number) in seen or failed)
    finally:
        over.set()
        reader.join()
    assert failed == []


# --- the URL -----------------------------------------------------------------------------------------------------


def test_no_error_shows_the_credentials_of_the_url(tmp_path, monkeypatch):
    assert shown_url("sftp://me:word@h:22/x/?sig=word") == "sftp://h:22/x"
    with pytest.raises(ConfigurationError, match="not a URL that fsspec knows") as caught:
        Remote("nothing://me:word@h/x")
    assert "word" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="needs a package"):
        Remote("s3://me:word@bucket/x")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"Cannot write the shared store file://.*check STORE_URL"):
        Remote(f"file://{tmp_path}/file/x").probe()


def test_a_probe_leaves_nothing(tmp_path):
    Remote(f"file://{tmp_path}/new/x").probe()
    assert list((tmp_path / "new" / "x").iterdir()) == []


# --- one holder across machines ----------------------------------------------------------------------------------


def test_without_redis_no_round_starts_where_one_is_named(tmp_path):
    store = StoreRegistry(tmp_path, redis_url="redis://:word@127.0.0.1:1/0").get(UID)
    with pytest.raises(ConfigurationError, match="Redis does not answer") as caught, store.lock():
        pytest.fail("nobody keeps others out")
    assert "word" not in str(caught.value)
