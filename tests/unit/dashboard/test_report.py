"""The report: one page without network, plots, and no markup of users."""

import re

from bench.dashboard_store import HOSTILE, make_store
from PIL import Image
from typer.testing import CliRunner

from ml_backend.cli import report


def test_a_report_of_texts(tmp_path):
    make_store(tmp_path / "versions", 1, versions=2, title=HOSTILE, texts=(HOSTILE,) * 60, labels=("<b>a</b>", "b"))
    arguments = ["--project", "1", "--out", str(tmp_path / "out"), "--model-dir", str(tmp_path / "versions")]
    result = CliRunner().invoke(report.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"report.html", "accuracy.png", "f.png", "auc.png", "loss.png", "confusion.png"}
    assert str(tmp_path / "out" / "report.html") in result.output.replace("\n", "")
    for name in written - {"report.html"}:
        with Image.open(tmp_path / "out" / name) as image:
            assert image.width > 600
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "window.hacked=1</script>" not in page
    assert "&lt;script&gt;window.hacked" in page
    assert not re.search(r"<(?:script|img|link)[^>]+(?:src|href)=\"https?:", page)


def test_a_report_of_images_and_of_nothing(tmp_path):
    make_store(tmp_path / "versions", 1, versions=1, kind="Image")
    make_store(tmp_path / "versions", 2, versions=0, evaluated=2, open_tasks=2)
    for project, expected in ((1, 'src="data:image/png;base64,'), (2, "No model yet")):
        arguments = ["--project", str(project), "--out", str(tmp_path / str(project))]
        result = CliRunner().invoke(report.app, [*arguments, "--model-dir", str(tmp_path / "versions")])
        assert result.exit_code == 0, result.output
        assert expected in (tmp_path / str(project) / "report.html").read_text(encoding="utf-8")
    unknown = ["--project", "9", "--out", str(tmp_path / "9"), "--model-dir", str(tmp_path / "versions")]
    result = CliRunner().invoke(report.app, unknown)
    assert result.exit_code == 1
    assert "Nothing is known about project 9" in result.output
