"""Which version is chosen; without Label Studio."""

import pytest
from support.stores import WEIGHTS, manifest

from ml_backend.errors import StoreError
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.versions import best_version, find_version, load_exported, version_before


@pytest.fixture
def store(tmp_path):
    return ProjectStore(tmp_path, "7.1700000000")


def write(store, number, **changes):
    version = manifest(number).model_copy(update=changes)
    store.write_version(version, WEIGHTS)
    return version


def test_a_version_by_name_or_number(store):
    name = write(store, 7).name
    assert find_version(store, name) == find_version(store, "7") == name
    for wrong in ("8", "m", "0123abcd"):
        with pytest.raises(StoreError, match=f"No version '{wrong}' .*versions there: {name}"):
            find_version(store, wrong)


def test_the_version_before_is_the_parent_else_the_newest_older_promoted_one(store):
    with pytest.raises(StoreError, match="No model is in use yet"):
        version_before(store)
    first, _, third = write(store, 1), write(store, 2, labels=("a", "c")), write(store, 3)
    write(store, 4, promoted=False)
    fifth, sixth = write(store, 5, parent="gone"), write(store, 6, parent=first.name)
    store.set_current(Current(fifth.name, "q"))
    assert version_before(store) == third.name
    store.set_current(Current(sixth.name, "q"))
    assert version_before(store) == first.name
    store.set_current(Current(first.name, "q"))
    with pytest.raises(StoreError, match="No version before m-0001"):
        version_before(store)


def test_the_best_version_is_measured_and_answers_the_newest_question(store):
    versions = [
        manifest(1).model_copy(update={"labels": ("a", "c"), "metrics": {"f_macro": 0.99, "auc": None}}),
        manifest(2).model_copy(update={"metrics": {"f_macro": 0.8, "auc": None}}),
        manifest(3).model_copy(update={"metrics": {"f_macro": 0.8, "auc": 0.5}}),
        manifest(4),
    ]
    assert best_version(versions, "f_macro") == versions[2].name  # of equals the newest
    assert best_version(versions[:3], "auc") == versions[2].name
    for none in ([], versions[3:]):
        with pytest.raises(StoreError, match="No version has f_macro on evaluation tasks"):
            best_version(none, "f_macro")


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(StoreError, match="holds no exported model"):
        load_exported(tmp_path)
