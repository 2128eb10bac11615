"""Versions and queues on disk: whole or not at all, whatever happens in between."""

import json
import shutil

import pytest
import torch
from support.stores import QUEUE, WEIGHTS, broken_at, manifest

from ml_backend.errors import StoreError
from ml_backend.store.project_store import Current, ProjectStore, known_stores, open_project


@pytest.fixture
def store(tmp_path):
    return ProjectStore(tmp_path, "7.1700000000")


def files(store):
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


# --- round trips -------------------------------------------------------------------------------------------------


def test_a_version_comes_back_as_it_was_written(store):
    store.write_version(manifest(), WEIGHTS)
    assert store.versions() == ["m-0001-0123abcd"]
    assert store.manifest("m-0001-0123abcd") == manifest()
    weights = store.weights("m-0001-0123abcd")
    assert weights.keys() == WEIGHTS.keys()
    assert all(torch.equal(weights[name], WEIGHTS[name]) for name in WEIGHTS)
    assert files(store) == [f"versions/m-0001-0123abcd/{name}" for name in ("model.json", "weights.safetensors")]


def test_a_queue_comes_back_with_every_bit_of_its_scores(store):
    store.write_queue(QUEUE)
    assert store.queue(QUEUE.name) == QUEUE


def test_the_current_choice(store):
    assert store.current() == Current(None, None)
    store.set_current(Current("v", "v.bald-0001"))
    assert store.current() == Current("v", "v.bald-0001")
    store.set_current(Current(None, "start.random-0002"))
    assert ProjectStore(store.folder.parent, store.uid).current() == Current(None, "start.random-0002")


def test_extra_params(store):
    assert store.extra_params() == {}
    store.set_extra_params({"strategy": "bald"})
    assert store.extra_params() == {"strategy": "bald"}
    store.set_extra_params({})
    assert store.extra_params() == {}


def test_a_manifest_of_an_older_release_is_read(store):
    store.write_version(manifest(), WEIGHTS)
    path = store.version_folder(manifest().name) / "model.json"
    new = ("evaluation_count", "evaluation_fingerprint", "settings", "libraries", "parent", "promoted", "comparison")
    content = json.loads(path.read_text())
    assert set(new) <= set(content)
    path.write_text(json.dumps({name: value for name, value in content.items() if name not in new}))
    old = store.manifest(manifest().name)
    assert old == manifest()
    assert (old.promoted, old.parent, old.libraries) == (True, None, {})


def test_a_current_choice_of_an_older_release_is_read(store):
    store.set_current(Current("v", "q"))
    (store.folder / "current.json").write_text('{"version": "v", "queue": "q"}')
    assert store.current() == Current("v", "q", pinned=None)


def test_unpinning_keeps_the_rest(store):
    store.set_current(Current("v", "q", "v"))
    assert store.unpin() == "v"
    assert store.current() == Current("v", "q")
    assert store.unpin() is None


def test_what_is_announced_holds_as_soon_as_label_studio_serves_it(store):
    old, new = Current("v1", "q1"), Current("v2", "q2", "v2")
    store.set_current(old)
    assert (store.announced(), store.served("q1"), store.served("q2")) == (None, old, old)
    store.announce(new)
    assert (store.announced(), store.current()) == (new, old)
    assert (store.served("q1"), store.served("q2"), store.served("")) == (old, new, old)
    store.settle("q2")
    assert (store.announced(), store.current()) == (None, new)
    store.settle("q1")
    assert store.current() == new


def test_what_was_announced_and_never_served_is_forgotten(store):
    store.set_current(Current("v1", "q1"))
    store.announce(Current("v2", "q2"))
    store.settle("q1")
    assert (store.announced(), store.current()) == (None, Current("v1", "q1"))
    assert files(store) == ["current.json"]


def test_a_version_that_is_being_published_is_kept_and_its_pin_can_be_taken_back(store):
    for number in (1, 2, 3):
        store.write_version(manifest(number), WEIGHTS)
    store.set_current(Current("m-0003-0123abcd", "q1"))
    store.announce(Current("m-0001-0123abcd", "q2", "m-0001-0123abcd"))
    assert store.prune(1) == ["m-0002-0123abcd"]
    with pytest.raises(StoreError, match="is in use"):
        store.delete_version("m-0001-0123abcd")
    assert store.unpin() == "m-0001-0123abcd"
    store.settle("q2")
    assert store.current() == Current("m-0001-0123abcd", "q2")


def test_what_is_told_about_a_version_can_change(store):
    store.write_version(manifest(), WEIGHTS)
    changed = manifest().model_copy(update={"promoted": False})
    store.update_manifest(changed)
    assert store.manifest(manifest().name) == changed
    assert len(files(store)) == 2
    with pytest.raises(StoreError, match="not in"):
        store.update_manifest(manifest(2))


def test_numbers_rise_over_all_models_and_queues(store):
    assert store.next_version_name("m", "f" * 64) == "m-0001-ffffffff"
    assert store.next_queue_number() == 1
    store.write_version(manifest(9999, "m-9999-0123abcd"), WEIGHTS)
    assert store.next_version_name("other-model", "f" * 64) == "other-model-10000-ffffffff"
    store.write_version(manifest(10000, "m-10000-0123abcd"), WEIGHTS)
    assert store.versions() == ["m-9999-0123abcd", "m-10000-0123abcd"]  # by number, not by letter
    store.write_queue(QUEUE)
    assert store.next_queue_number() == 2


def test_deleting_forgets_everything(store):
    store.write_version(manifest(), WEIGHTS)
    store.delete()
    store.delete()
    assert store.versions() == []


# --- pruning -----------------------------------------------------------------------------------------------------


def test_pruning_keeps_the_newest_and_never_deletes_the_current(store):
    for number in range(1, 6):
        store.write_version(manifest(number), WEIGHTS)
    store.set_current(Current("m-0002-0123abcd", "q"))
    assert store.prune(2) == ["m-0001-0123abcd", "m-0003-0123abcd"]
    assert store.versions() == ["m-0002-0123abcd", "m-0004-0123abcd", "m-0005-0123abcd"]
    assert store.prune(2) == []
    store.set_current(Current("m-0004-0123abcd", "q", pinned="m-0002-0123abcd"))
    assert store.prune(1) == []
    assert {path.split("/")[1] for path in files(store) if path.startswith("versions/")} == set(store.versions())


def test_the_current_and_the_pinned_version_are_never_deleted(store):
    for number in range(1, 4):
        store.write_version(manifest(number), WEIGHTS)
    store.set_current(Current("m-0002-0123abcd", "q", pinned="m-0001-0123abcd"))
    for name, why in (("m-0001-0123abcd", "pinned"), ("m-0002-0123abcd", "in use"), ("gone", "not in")):
        with pytest.raises(StoreError, match=why):
            store.delete_version(name)
    store.delete_version("m-0003-0123abcd")
    assert store.versions() == ["m-0001-0123abcd", "m-0002-0123abcd"]


# --- faults ------------------------------------------------------------------------------------------------------


def disk_full(*args, **kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("at", ["content", "sync", "rename"])
def test_a_failed_write_leaves_nothing(store, at):
    store.write_version(manifest(1), WEIGHTS)
    before = files(store)
    broken, weights = broken_at(at, store, disk_full)
    with pytest.raises(StoreError, match=r"version m-0002-0123abcd .*No space left.*nothing was changed"):
        broken.write_version(manifest(2), weights)
    assert files(store) == before
    assert store.versions() == ["m-0001-0123abcd"]
    store.write_version(manifest(2), WEIGHTS)
    assert store.versions() == ["m-0001-0123abcd", "m-0002-0123abcd"]


@pytest.mark.parametrize("at", ["sync", "rename"])
def test_a_failed_switch_leaves_the_old_choice(store, at):
    store.set_current(Current("old", "old.bald-0001"))
    broken, _ = broken_at(at, store, disk_full)
    with pytest.raises(StoreError, match=r"current.json .*No space left"):
        broken.set_current(Current("new", "new.bald-0002"))
    assert store.current() == Current("old", "old.bald-0001")
    assert files(store) == ["current.json"]


def test_a_version_is_never_overwritten(store):
    store.write_version(manifest(), WEIGHTS)
    with pytest.raises(StoreError, match="Cannot write version"):
        store.write_version(manifest(), {"w": torch.zeros(1)})
    assert torch.equal(store.weights(manifest().name)["w"], WEIGHTS["w"])


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    store = ProjectStore(tmp_path / "file", "7.1")
    for write in (
        lambda: store.write_version(manifest(), WEIGHTS),
        lambda: store.set_current(Current()),
        store.lock,
    ):
        with pytest.raises(StoreError, match="Cannot write"):
            write()


# --- damage ------------------------------------------------------------------------------------------------------


def test_a_missing_version_lists_those_that_are_there(store):
    store.write_version(manifest(), WEIGHTS)
    with pytest.raises(StoreError, match=r"'gone' is not in .*versions there: m-0001-0123abcd"):
        store.manifest("gone")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "m"}', b"\xff"], ids=str)
def test_a_damaged_manifest(store, content):
    store.write_version(manifest(), WEIGHTS)
    (store.folder / "versions" / manifest().name / "model.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"model.json is damaged .*delete its folder and train again"):
        store.manifest(manifest().name)


@pytest.mark.parametrize("cut", [0, 5, 60])
def test_damaged_weights(store, cut):
    store.write_version(manifest(), WEIGHTS)
    path = store.folder / "versions" / manifest().name / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StoreError, match=r"weights.safetensors is missing or damaged .*train again"):
        store.weights(manifest().name)
    path.unlink()
    with pytest.raises(StoreError, match="missing or damaged"):
        store.weights(manifest().name)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', '{"unknown": 1}'])
def test_damaged_json_names_the_file_and_the_next_step(store, content):
    for name, read in (
        ("current.json", store.current),
        ("queues/q-0001.json", lambda: store.queue("q-0001")),
    ):
        path = store.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        with pytest.raises(StoreError) as error:
            read()
        assert str(path) in str(error.value)
        assert "is damaged" in str(error.value)
        assert "delete it and run a round" in str(error.value)


def test_a_queue_that_is_not_there(store):
    with pytest.raises(StoreError, match=r"Queue 'q' is not in .*run a round"):
        store.queue("q")


def test_open_project_picks_the_newest_of_a_reused_id(tmp_path):
    assert open_project(tmp_path / "nothing", 7) is None
    for name in ("7.999", "7.1700000000", "77.1800000000", "7.1700000000.bak", "7.old"):
        (tmp_path / f"project-{name}").mkdir()
    assert open_project(tmp_path, 7).uid == "7.1700000000"
    assert open_project(tmp_path, 77).uid == "77.1800000000"
    assert open_project(tmp_path, 1) is None


def test_known_stores_are_the_newest_of_each_project(tmp_path):
    for uid in ("7.100", "7.200", "8.1"):
        ProjectStore(tmp_path, uid).set_extra_params({})
    (tmp_path / "project-x.1").mkdir()
    (tmp_path / "other").mkdir()
    assert {i: store.uid for i, store in known_stores(tmp_path).items()} == {7: "7.200", 8: "8.1"}


@pytest.mark.parametrize("uid", ["../x", "a/b", "", "a b", "..\\x", "x\0", "x\n"], ids=repr)
def test_a_hostile_uid_is_refused(tmp_path, uid):
    with pytest.raises(StoreError, match="not a project id"):
        ProjectStore(tmp_path, uid)


def test_files_are_plain_json_for_people_to_read(store):
    store.set_current(Current("v", "q"))
    assert json.loads((store.folder / "current.json").read_text()) == {"version": "v", "queue": "q", "pinned": None}
    shutil.rmtree(store.folder)
    assert store.current() == Current()
