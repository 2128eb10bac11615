"""Scripts run in this process against a real Label Studio, and what is there afterwards."""

import pytest
from support.places import REPOSITORY
from typer.testing import CliRunner

from ml_backend.cli import create_project, export_annotations, import_tasks
from ml_backend.label_studio.answers import label_of

HEADLINES = str(REPOSITORY / "label_configs" / "headlines.xml")
SCRIPTS = (create_project, import_tasks, export_annotations)


@pytest.fixture
def run(label_studio, monkeypatch, tmp_path):
    """Run a script's command in this process, as the first account."""
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "versions"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("BASIC_AUTH_USER", "BASIC_AUTH_PASS", "ACTIVE_LEARNING_VERBOSE"):
        monkeypatch.delenv(name, raising=False)

    def invoke(script, *arguments, code=0):
        result = CliRunner().invoke(script.app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert label_studio.token not in result.output
        return result

    return invoke


def tasks_of(project):
    return [row for page in project.client.all_tasks(project.id) for row in page]


def labels_of(project):
    return [label_of(row["annotations"][0]["result"], project.question) for row in tasks_of(project)]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def headlines(path, rows):
    return write(path, "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
