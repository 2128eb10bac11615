"""A round over a pool outside Label Studio: from no task at all to a second round over 2,000 rows."""

import csv
import os
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_backend.config import ProjectSettings
from ml_backend.draws import draws_for
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.pool.announce import ROW_FIELD, announce, announced
from ml_backend.pool.candidates import Sizes
from ml_backend.pool.document import Pool, connect
from ml_backend.pool.embed import embed
from ml_backend.pool.encoders import PoolEncoder
from ml_backend.pool.hold_out import STREAM, hold_out
from ml_backend.pool.last_pass import read_candidates, stored
from ml_backend.pool.rounds import pool_of
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.source import Source
from ml_backend.pool.vectors import Vectors, folder_of
from ml_backend.records import CONTROL
from ml_backend.rounds.log import look
from ml_backend.rounds.report import Silent
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.selection.control_arm import control_order
from ml_backend.store.project_store import ProjectStore

SETTINGS = ProjectSettings(
    queue_size=20, control_share=0.2, text_model="sentences", hyperparameters={"encoder": "wordllama"}, recheck=0
)
SIZES = Sizes(best=200, drawn=150, near=100)


@pytest.fixture(scope="module")
def headlines(shared_data, tmp_path_factory):
    """Id → headline of 2,000 rows in a Parquet file, and the file."""
    with (shared_data / "headlines" / "abc_2003_20k.csv").open(encoding="utf-8") as file:
        texts = [row["headline_text"] for row in csv.DictReader(file)][:2000]
    rows = {f"abc-{number}": text for number, text in enumerate(texts)}
    path = tmp_path_factory.mktemp("pool") / "headlines.parquet"
    return rows, write(path, rows)


def write(path, rows):
    pq.write_table(pa.table({"key": list(rows), "headline": list(rows.values())}), path)
    return path


def answer_first(project, count):
    """Answer so many tasks as Label Studio gives them; their rows."""
    labels = project.question.labels
    rows = []
    for _ in range(count):
        task = project.client.next_task(project.id)
        row = task["data"][ROW_FIELD]
        rows.append(row)
        hit = any(word in task["data"]["text"] for word in ("fire", "flood", "crash", "storm", "police"))
        project.client.annotate(task["id"], project.answer(labels[0] if hit else labels[1]))
    return rows


class Cores(Silent):
    """How many cores each step of a round may use."""

    def __init__(self):
        self.of = {}

    def step_started(self, name):
        self.of[name] = len(os.sched_getaffinity(0))


def rows_in(project):
    """Rows of all tasks."""
    return [row["data"][ROW_FIELD] for page in project.client.all_tasks(project.id) for row in page]


def test_two_rounds_over_a_pool(headlines, make_project, tmp_path):
    texts, path = headlines
    project = make_project("headlines")
    store = ProjectStore(tmp_path, project.project.uid)
    pool = Pool(str(path), "parquet", "key", {"text": "headline"}, {"key": "String", "headline": "String"}, rows=2000)
    connect(store, pool)
    embed(Source(pool), Vectors(folder_of(store, "wordllama")), PoolEncoder("text", "wordllama"))
    workspace = Workspace(
        project.client,
        tmp_path,
        SETTINGS,
        keep_queues=timedelta(0),
        outside=lambda store, client, dry: pool_of(store, client, dry, sizes=SIZES, spare_cores=1),
    )

    cores, of_this = Cores(), len(os.sched_getaffinity(0))
    first = run_round(workspace, RoundRequest(project.id), observer=cores)
    assert cores.of["search the pool"] == max(1, of_this - 1)
    assert len(os.sched_getaffinity(0)) == of_this
    assert first.published
    assert len(rows_in(project)) == 20
    control = set(control_order(row_keys(list(texts)), 0, 4).tolist())
    asked = {item.task_id: item for item in first.queue.predictions}
    there = {row["id"]: row["data"] for page in project.client.all_tasks(project.id) for row in page}
    assert asked.keys() == there.keys()
    assert all(data["text"] == texts[data[ROW_FIELD]] for data in there.values())
    of_control = {there[task][ROW_FIELD] for task, item in asked.items() if item.picked_by == CONTROL}
    assert set(row_keys(sorted(of_control)).tolist()) <= control, "drawn from the whole pool"
    assert first.fed == look(project.client, project.id)
    assert {task.id for task in TaskCache(store.task_cache_path).tasks()} == there.keys(), "pages show what is new"

    answered = answer_first(project, 20)
    second = run_round(workspace, RoundRequest(project.id))
    assert second.trained
    assert second.published
    rows = rows_in(project)
    assert len(rows) == len(set(rows)) == 40
    assert stored(store).version == second.version
    assert stored(store).rows == 2000
    assert stored(store).fed == 20

    # Killed after it was announced, before Label Studio heard of it; and one row that came through. Rows are gone.
    new = [row for row in texts if row not in rows][:2]
    announce(store, [{"text": texts[row], ROW_FIELD: row} for row in [*new, rows[0]]])
    candidates, _ = read_candidates(folder_of(store, "wordllama"))
    gone = [row for row in candidates.names if row not in [*rows, *new]][:2]
    write(path, {row: text for row, text in texts.items() if row not in gone})
    third = run_round(workspace, RoundRequest(project.id, train=False))
    write(path, texts)
    assert any("2 rows of" in told and "are gone since they were embedded" in told for told in third.warnings)
    after = rows_in(project)
    assert announced(store) == []
    assert set(new) <= set(after)
    assert not set(gone) & set(after)
    assert len(after) == len(set(after))
    assert any("cut off" in warning for warning in third.warnings)

    # Doubles of an import whose answer was lost.
    project.client.import_tasks(project.id, [{"data": {"text": texts[new[0]], ROW_FIELD: new[0]}}])
    before = rows_in(project)
    path.rename(path.with_suffix(".away"))
    fourth = run_round(workspace, RoundRequest(project.id, train=False), RunOptions())
    path.with_suffix(".away").rename(path)
    assert any("Nothing new comes from the pool" in warning for warning in fourth.warnings), fourth.warnings
    assert fourth.published, "the tasks that are there are ordered"
    assert set(rows_in(project)) == set(before), "nor do rows come that the last pass chose"
    fifth = run_round(workspace, RoundRequest(project.id, train=False))
    assert any("had two tasks" in warning for warning in (*fourth.warnings, *fifth.warnings))
    final = rows_in(project)
    assert len(final) == len(set(final))
    assert set(answered) <= set(final)

    # Evaluation tasks are a uniform draw of the whole pool, and none of them is asked or learnt from.
    fed, before = hold_out(project.client, project.id, store, 30, seed=0)
    assert (len(fed.tasks), before) == (30, 0)
    assert hold_out(project.client, project.id, store, 30, seed=0)[0].tasks == {}
    left = [row for row in texts if row not in final]
    drawn = draws_for(row_keys(left), STREAM)
    assert set(fed.tasks) == {left[place] for place in np.argsort(-drawn)[:30]}

    # What lost its place is taken back where the project wants that; what anybody answered stays.
    workspace = replace(workspace, defaults=SETTINGS.override({"pool_take_back": True, "strategy": "random"}, where=""))
    sixth = run_round(workspace, RoundRequest(project.id, train=False))
    kept = {row["id"]: row["data"][ROW_FIELD] for page in project.client.all_tasks(project.id) for row in page}
    asked = {item.task_id for item in sixth.queue.predictions}
    there = set(answered) | set(fed.tasks)
    assert "take back" in [step.name for step in sixth.steps]
    assert {row for task, row in kept.items() if task not in asked} == there


def test_what_somebody_answered_meanwhile_is_not_deleted(make_project):
    project = make_project("headlines", 3)
    answered, skipped, untouched = project.task_ids
    project.client.annotate(answered, project.answer("related"))
    project.client.annotate(skipped, [], cancelled=True)
    project.client.delete_unanswered(project.id, project.task_ids)
    left = {row["id"] for page in project.client.all_tasks(project.id) for row in page}
    assert left == {answered, skipped}
    assert untouched not in left
