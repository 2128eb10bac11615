"""A small version and a small queue, and machines that share a store."""

from datetime import UTC, datetime

import torch

from ml_backend.files import AtomicWriter
from ml_backend.records import Prediction, Queue
from ml_backend.rounds.log import append, rounds
from ml_backend.store.looks import READ_EVERY
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.registry import StoreRegistry
from ml_backend.store.remote import Remote

UID = "7.1700000000"

WEIGHTS = {"w": torch.arange(6.0).reshape(2, 3).T, "steps": torch.tensor([3])}  # the transpose is not contiguous

QUEUE = Queue(
    "m-0001-0123abcd.bald-0001",
    "m-0001-0123abcd",
    "bald",
    20,
    0,
    (Prediction(7, "a", 0.75, 0.1), Prediction(5, None, 0.0, 0.1 + 2**-40)),
)


def manifest(number=1, name=None):
    return Manifest(
        name=name or f"m-{number:04d}-0123abcd",
        model="m",
        number=number,
        created_at=datetime(2024, 5, 1, tzinfo=UTC),
        object_tag="Text",
        labels=("a", "b"),
        config={"hidden": 64},
        fingerprint="0123abcd" * 8,
        examples=2,
        label_counts={"a": 1, "b": 1},
        training={"epochs": 1, "loss": [0.5]},
        metrics=None,
    )


class Machine(StoreRegistry):
    """One machine's stores, and its clock."""

    patience = 60.0  # machines of tests are slow; a test of its own makes it short

    def __init__(self, root, url, **options):
        self.now = 0.0
        self.remote = Remote(url)
        super().__init__(root, self.remote, clock=lambda: self.now, **options)

    def reads(self):
        """The store as a reader finds it a while later."""
        self.now += READ_EVERY
        return self.get(UID)


def name_of(number):
    return f"m-{number:04d}-0123abcd"


def run_round(stores, number, *, keep=20, timeout=0.0, weights=None):
    """What a round does to the store."""
    with stores.get(UID).lock(timeout=timeout):
        store = stores.get(UID)
        store.write_version(manifest(number), weights or WEIGHTS)
        name = f"{name_of(number)}.bald-{number:04d}"
        store.write_queue(type(QUEUE)(name, name_of(number), "bald", 20, 0, QUEUE.predictions))
        store.set_current(Current(name_of(number), name))
        append(store, {"started": f"2024-05-01T00:00:{number:02d}+00:00", "n": number})
        store.prune(keep)


def state(store):
    """Everything that readers use, checked to belong together."""
    current = store.current()
    if current.version is None:
        return None
    queue = store.queue(current.queue)
    assert queue.version == store.manifest(current.version).name == current.version
    store.weights(current.version)
    return current.version, tuple(store.versions()), tuple(line["n"] for line in rounds(store))


class Broken:
    """Weights that cannot be written."""

    def __init__(self, fail):
        self.contiguous = fail


def broken_at(at, store, fail):
    """The same store where one step of writing a version fails, and the weights to write."""
    if at == "content":
        return store, {"w": Broken(fail)}
    return ProjectStore(store.folder.parent, store.uid, writer=AtomicWriter(**{at: fail})), WEIGHTS
