"""What the backend's own rounds do where somebody else works on the project."""

import pytest

from ml_backend.config import Settings
from ml_backend.errors import BUSY, ProjectBusy, StoreError
from ml_backend.rounds.from_settings import ASKED_PATIENCE, ROUND_PATIENCE, run_request
from ml_backend.rounds.log import rounds
from ml_backend.rounds.progress import LiveProgress, read
from ml_backend.rounds.report import Report, Silent
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.documents import ADDRESS
from ml_backend.store.project_store import ProjectStore


@pytest.fixture
def refused(tmp_path):
    """Ask for a round that finds the project busy: its error, its patience, and the lines that it leaves."""
    store = ProjectStore(tmp_path, "7.1")
    store.set_extra_params({})
    other = LiveProgress(Silent(), lambda: store, {"round": "other", "started": "", "trigger": "sync"})
    other.step_started("fit")

    def ask(request):
        waited = []

        def run(workspace, request, options):
            waited.append(options.patience)
            raise ProjectBusy(f"{BUSY} (/x/lock).")

        settings = Settings(model_dir=tmp_path, label_studio_api_key="0" * 40)
        with pytest.raises(StoreError) as caught:
            run_request(request, settings=settings, run=run)
        assert read(store)["round"] == "other"  # it goes on, and goes on telling
        return caught.value, waited[0], [line["error"] for line in rounds(store)]

    return ask


def test_a_round_that_another_can_replace_waits_shortly_and_leaves_no_line(refused):
    error, waited, lines = refused(RoundRequest(7, "labels"))
    assert isinstance(error, ProjectBusy)
    assert (waited, lines) == (ROUND_PATIENCE, [])


def test_a_pin_waits_for_long_and_is_told_where_it_was_in_vain(refused):
    error, waited, lines = refused(RoundRequest(7, train=False, pin="m-0001"))
    assert not isinstance(error, ProjectBusy)
    assert "The request was not carried out" in str(error)
    assert (waited, lines) == (ASKED_PATIENCE, [str(error)])


@pytest.mark.parametrize("found", ["{", '{"address": "http://127.0.0.1:2"}'])
def test_a_damaged_note_or_a_silent_label_studio_keep_no_round_from_starting(tmp_path, caplog, local_server, found):
    """The look at the webhooks comes first: what fails there is logged, and the round finds out for itself."""
    store = ProjectStore(tmp_path, "7.1")
    store.set_extra_params({})
    (store.folder / ADDRESS).write_text(found, encoding="utf-8")
    down = local_server(lambda _: (503, "text/plain", b"starting"))
    settings = Settings(
        model_dir=tmp_path,
        label_studio_url=down.url,
        label_studio_api_key="0" * 40,
        basic_auth_user="u",
        basic_auth_pass="p" * 12,
    )
    summary = run_request(RoundRequest(7, "labels"), settings=settings, run=lambda *_: Report(7))
    assert summary["queue"] is None
    assert len(down.calls) == (found != "{"), "without patience: the round waits, once"
    told = [record.getMessage() for record in caplog.records if record.name == "ml_backend.rounds.webhook"]
    assert len(told) == 1
    assert told[0].startswith("project 7: its webhooks could not be looked at: ")
