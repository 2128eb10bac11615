"""What the overview shows of the doctor's last run."""

import json

from plotly.utils import PlotlyJSONEncoder

from ml_backend.dashboard.pages.overview_doctor import doctor_result
from ml_backend.dashboard.reading.overview import read_examination
from ml_backend.dashboard.services import Examination
from ml_backend.doctor.diagnosis import Finding

RIGHT = [Finding("A", "ok", "fine"), Finding("C", "ok", "fine")]
SKIPPED = Finding("B", "skipped", "not asked", "ask")


def shown(*findings):
    found = read_examination(Examination(running=False, findings=list(findings)))
    return json.dumps(doctor_result(found), cls=PlotlyJSONEncoder)


def test_the_page_says_what_was_not_checked_and_counts_only_what_was():
    told = shown(*RIGHT, SKIPPED)
    assert "All 2 checks that were made are fine." in told
    assert "1 check not made" in told
    assert "not asked" in told


def test_beside_what_is_wrong_too():
    told = shown(*RIGHT, SKIPPED, Finding("D", "error", "broken", "mend"))
    assert "broken" in told
    assert "are fine" not in told
    assert "not asked" in told


def test_where_all_was_checked_nothing_is_said_of_skipped_checks():
    assert "not made" not in shown(*RIGHT)
