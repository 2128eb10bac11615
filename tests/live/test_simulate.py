"""Simulations through a real Label Studio."""

from support.simulations import DESIGN, SIZES, call, untimed

from ml_backend.simulation.files import read_rounds
from ml_backend.simulation.live import simulate_live
from ml_backend.simulation.simulate import simulate


def test_through_label_studio_the_same_tasks_are_asked(label_studio, topics, tmp_path):
    """Real tasks, rounds and label stream give, round for round, what the simulation without them gives."""
    live = untimed(simulate_live(label_studio.client, tmp_path, topics, DESIGN, "entropy", 0))
    offline = untimed(simulate(topics, DESIGN, "entropy", 0))
    assert [r.labels for r in live] == [6, 10, 14]
    assert live == offline


def test_the_command_goes_through_label_studio(label_studio, csv_file, tmp_path, monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    # Which tasks come first hangs on their ids: of six, all can be of one class, and then no model is trained.
    few = ("--initial", 20, "--budget", 24, "--seeds", 1)
    args = (csv_file, "-s", "random", *SIZES, *few, "--out", tmp_path, "--cold")
    shown = call(*args, "--label-studio", label_studio.url)
    assert shown.exit_code == 0, shown.output
    assert [r.labels for r in read_rounds(tmp_path / "topics-label-studio")["random", 0]] == [20, 24]
    assert label_studio.client.find_project("Simulation of topics: random, seed 0")
