"""Where models compute: what is asked for, what there is, and what each machine does with it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import numpy as np
import pytest
import torch
from support.examples import FAST, bars

from ml_backend import hardware
from ml_backend.config import load_settings
from ml_backend.errors import ConfigurationError
from ml_backend.hardware import Hardware
from ml_backend.models import layers
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.pool import engine
from ml_backend.semi_supervised.graph import nearest
from ml_backend.strategies.batch_bald import batch_bald


@pytest.fixture(params=[True, False])
def gpu(request, monkeypatch) -> bool:
    """Whether torch says that there is one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param)
    return request.param


@pytest.mark.parametrize("asked", hardware.DEVICES)
def test_the_device(gpu, asked):
    if asked == "cuda" and not gpu:
        with (
            pytest.raises(ConfigurationError, match="DEVICE is cuda, but torch sees no GPU"),
            hardware.using(Hardware(asked)),
        ):
            pass
        assert hardware.device().type == "cpu", "the choice before stands"
        return
    with hardware.using(Hardware(asked)):
        assert hardware.device().type == ("cuda" if gpu and asked != "cpu" else "cpu")


def test_settings_choose(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setenv("SCORING_PRECISION", "bfloat16")
    monkeypatch.setenv("TORCH_THREADS", "3")
    with hardware.using(load_settings().hardware()):
        assert (hardware.device().type, hardware.precision()) == ("cpu", torch.bfloat16)
        before = torch.get_num_threads()
        with hardware.threads():
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == before
    assert hardware.precision() == torch.float32


@pytest.mark.parametrize(("name", "value"), [("DEVICE", "tpu"), ("SCORING_PRECISION", "int8"), ("TORCH_THREADS", "0")])
def test_a_wrong_setting_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name}: "):
        load_settings()


def test_the_choice_is_that_of_the_process_whatever_the_thread():
    seen = []
    with hardware.using(Hardware(precision="bfloat16")):
        thread = Thread(target=lambda: seen.append(hardware.precision()))
        thread.start()
        thread.join()
    assert seen == [torch.bfloat16]


def test_draws_come_from_the_cpu_so_that_every_device_has_the_same():
    """On the device of the values: the meta device stands for one that cannot draw."""
    one, other = (torch.Generator().manual_seed(1) for _ in range(2))
    assert layers.dropout(torch.ones(4, 5, device="meta"), 0.5, one).device.type == "meta"
    layers.dropout(torch.ones(4, 5), 0.5, other)
    assert torch.equal(one.get_state(), other.get_state())


def test_what_is_trained_is_stored_from_the_cpu_and_draws_nothing_global():
    images, targets = bars(24)
    before = torch.get_rng_state()
    model = MnistCnn(("left", "right"))
    model.fit(images, targets, seed=0, hyperparameters=FAST)
    model.probabilities(images, samples=3)
    assert {value.device.type for value in model.state()[0].values()} == {"cpu"}
    assert torch.equal(torch.get_rng_state(), before)
    assert np.isfinite(model.embed(images)).all()


def test_neighbours_and_strategies_compute_on_the_chosen_threads():
    seen = []

    def told(value):
        seen.append(torch.get_num_threads())
        return value

    rows = np.eye(4, dtype=np.float32)
    with hardware.using(Hardware(threads=3)):
        nearest((told(view) for view in [rows]), rows, 2)
        batch_bald(np.full((4, 3, 2), 0.5), 1, lambda row, size: told(np.zeros(size)))
    assert seen == [3, 3]


@pytest.mark.parametrize(("spared", "of_two"), [(0, 2), (1, 1), (9, 1)])
def test_a_thread_that_spares_cores_keeps_to_the_others_with_all_that_it_starts(spared, of_two):
    """On a thread of its own, since the cores of this one are those of all tests."""
    seen = []

    def work():
        first = sorted(os.sched_getaffinity(0))[:2]
        os.sched_setaffinity(0, first)
        with hardware.sparing(spared):
            with ThreadPoolExecutor(1) as others:
                seen.append(others.submit(engine.cores).result())
            count = [sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"]
            seen.append(int(subprocess.run(count, capture_output=True, check=True).stdout))
        seen.append(engine.cores() == len(first))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    cores = min(of_two, len(os.sched_getaffinity(0)))
    assert seen == [cores, cores, True]


@pytest.mark.parametrize(("given", "then"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_waiting_threads_sleep_unless_somebody_chose_otherwise(given, then):
    code = "import ml_backend.cli.app, os; print(os.environ['OMP_WAIT_POLICY'])"
    bare = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=bare | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [then]


LIBRARIES = """
from threadpoolctl import threadpool_info, threadpool_limits
from ml_backend import hardware
def counts():
    return sorted(pool["num_threads"] for pool in threadpool_info())
with hardware.threads():
    import scipy.linalg, sklearn.linear_model  # loaded later than the first use, with libraries of their own
    with hardware.threads():
        inside = counts()
    assert set(inside) == {1}, inside
with threadpool_limits(limits=2):
    before = counts()
    with hardware.threads():
        held = counts()
    assert set(before) == {2}, before
    assert set(held) == {1}, held
    assert counts()[-1] == 2
"""


def test_what_numpy_scipy_and_scikit_learn_compute_with_is_held_as_well():
    done = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_who_asks_again_inside_changes_nothing():
    before = torch.get_num_threads()
    with hardware.using(Hardware(threads=3)):
        with hardware.threads():
            torch.set_num_threads(2)
            with hardware.threads():
                assert torch.get_num_threads() == 2
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == before
        with hardware.threads():
            assert torch.get_num_threads() == 3
