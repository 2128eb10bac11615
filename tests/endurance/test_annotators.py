"""Two hundred labels by four people at once."""

import pytest
from support.annotators import label_on_sqlite


@pytest.mark.timeout(1800)
def test_200_labels_by_4_people_while_rounds_run(make_project, label_studio, tmp_path, monkeypatch):
    label_on_sqlite(make_project, label_studio, tmp_path, monkeypatch, each=50)
