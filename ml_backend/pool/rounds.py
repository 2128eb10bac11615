"""A round over a pool outside Label Studio: which rows it compares, and which of them become tasks.

::

    settle ─► read ─► the last pass's candidates join the open tasks ─► train, on them too
                                                                          │
    publish ◄─ chosen rows become tasks ◄─ choose ◄─ candidates of one pass by the new head

What fails here fails no round: it is said, and the tasks that are there are ordered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError, DataError, StoreError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.models.base import Model
from ml_backend.pool import neighbours
from ml_backend.pool.announce import ROW_FIELD
from ml_backend.pool.candidates import Candidates, Labelled, Sizes, find_candidates
from ml_backend.pool.document import Pool, connected
from ml_backend.pool.feeding import feed, rows_there
from ml_backend.pool.fields import check_question
from ml_backend.pool.heads import Head, check_fits, head_of, with_beside
from ml_backend.pool.last_pass import LastPass, note, read_candidates, stored, write_candidates
from ml_backend.pool.row_items import Suited, candidate_items, sample_of, suited, vectors_of, with_made, without_rows
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.row_tasks import candidate_data, chosen_data
from ml_backend.pool.rows import Rows
from ml_backend.pool.source import Source
from ml_backend.pool.spread import spread_pass
from ml_backend.pool.upkeep import embed_first, embed_new, is_embedded, settle, take_back
from ml_backend.records import Project, Task
from ml_backend.rounds.log import look
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.several_questions import weight_of
from ml_backend.store.heads import Head as Beside
from ml_backend.store.project_store import ProjectStore

SHOWN: Final = 5
EMBED: Final = "lsal pool embed --project"


def pool_of(
    store: ProjectStore,
    client: LabelStudioClient,
    dry_run: bool,
    *,
    sizes: Sizes | None = None,
    settings: Settings | None = None,
    spare_cores: int = 0,
) -> RoundPool | None:
    """The pool of a project, for one round; None where none is connected.

    Args:
        store: the project's.
        client: Label Studio.
        dry_run: write nothing.
        sizes: how many candidates.
        settings: the installation's; None: a pool that has grown is not embedded by the round.
        spare_cores: that the round leaves to others; none where somebody waits for it.

    Raises:
        StoreError: what is known of it is damaged.
    """
    found = connected(store)
    return None if found is None else RoundPool(store, client, found, dry_run, sizes or Sizes(), settings, spare_cores)


@dataclass
class RoundPool:
    """The pool in one round; see `rounds.project.OutsidePool`."""

    store: ProjectStore
    client: LabelStudioClient
    pool: Pool
    dry_run: bool
    sizes: Sizes
    settings: Settings | None = None
    spare_cores: int = 0
    clock: Callable[[], float] = time.monotonic
    _suited: Suited | None = None
    """The vectors that the project's model reads; None where there are none yet."""
    _rows: dict[int, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Number of a candidate → its id, and what its task would hold; of pictures nothing before they are chosen."""
    _taken: set[str] = field(default_factory=set)
    """Rows that are tasks."""
    _files: str = ""
    """What the pool's files looked like when this round embedded them; empty where it did not."""
    _pass: LastPass = field(default_factory=LastPass)

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.pool.rows

    # --- before the round reads --------------------------------------------------------------------------------

    def settle(self, now: Project, recorder: Recorder) -> None:
        """Finish what a round that was cut off announced; see `OutsidePool.settle`."""
        settle(self.client, now.id, self.store, recorder)

    def attached(self, project: RoundProject, recorder: Recorder) -> RoundProject:
        """With its vectors' model, its tasks' rows, and the last pass's candidates; see `OutsidePool.attached`."""
        there = rows_there(TaskCache(self.store.task_cache_path).tasks())
        numbers = dict(zip(there, row_keys(list(there)).tolist(), strict=True))
        self._taken = set(there)
        keys = {task.id: numbers[row] for row, tasks in there.items() for task in tasks}
        project = replace(project, keys=keys)
        with self._told(recorder):
            check_question(self.pool, project.question)
            self._suited = suited(project, self.store)
            if self.settings and not self.dry_run and not is_embedded(self._suited, self.pool):
                self._files = embed_first(self.settings, Source(self.pool), self.store, recorder)
                self._suited = suited(project, self.store)
            if self._suited is None:
                raise StoreError(f"The pool is not embedded yet: {EMBED} {project.now.id}")
            project = self._suited.project
            if kept := read_candidates(self._suited.vectors.folder):
                project = self._with_rows(project, *kept, recorder)
        return project

    # --- after training ----------------------------------------------------------------------------------------

    def searched(
        self, project: RoundProject, model: Model | None, recorder: Recorder, heads: Sequence[Beside] = ()
    ) -> RoundProject:
        """With the candidates of one pass by this model among its open tasks; see `OutsidePool.searched`."""
        found = self._suited
        if found is None:
            return project
        with self._told(recorder):
            version = recorder.report.version
            head = None
            if model is not None and version:
                head = with_beside(head_of(self.store.manifest(version), model), heads, weight_of(project))
                check_fits(found.vectors, head)
            started = self.clock()
            with recorder.step("search the pool") as step:
                total = found.vectors.count()
                candidates = self._pass_over(project, found, head, lambda done: step.progress(done, total))
                step.detail = f"{candidates.looked_at:,} rows, {len(candidates):,} candidates"
            self._pass = LastPass(
                datetime.now(UTC).isoformat(),
                version if head is not None else None,
                found.encoder.name,
                candidates.looked_at,
                len(candidates),
                candidates.counts["best"],
                candidates.counts["drawn"],
                candidates.counts["near"],
                seconds=round(self.clock() - started, 3),
                tasks=len(self._taken),
            )
            return self._joined(project, found, candidates, recorder)
        return without_rows(project)  # nor do rows come that an earlier pass chose

    def _pass_over(
        self, project: RoundProject, found: Suited, head: Head | None, progress: Callable[[int], None]
    ) -> Candidates:
        labelled = {task.id: task for task, _ in project.pool.training}
        known = neighbours.read(self.store).among(f"{found.about.made_of}, {found.vectors.count()} rows")
        hardware = self.settings.hardware() if self.settings else None
        candidates = find_candidates(
            lambda wanted: spread_pass(found.vectors, wanted, head, hardware, progress=progress),
            project.settings,
            trained=head is not None,
            taken=row_keys(sorted(self._taken)),
            labelled=Labelled(list(labelled), lambda tasks: vectors_of(project, found, [labelled[t] for t in tasks])),
            neighbours=known,
            sizes=self.sizes,
        )
        if not self.dry_run:
            neighbours.write(self.store, candidates.neighbours)
        return candidates

    def _joined(self, project: RoundProject, found: Suited, candidates: Candidates, recorder: Recorder) -> RoundProject:
        rows = candidates.rows
        if rows is None:
            if not candidates.looked_at:
                raise StoreError(f"The pool has no vectors yet: {EMBED} {project.now.id}")
            recorder.warn("Every row of the pool is a task already.")
            return without_rows(project)
        with recorder.step("read the pool") as step:
            data = candidate_data(self.pool, rows.names)
            kept = np.array([each is not None for each in data], dtype=np.bool_)
            rows, there = rows.take(kept), [each for each in data if each is not None]
            step.detail = f"{len(rows):,} rows"
        if gone := int((~kept).sum()):
            recorder.warn(
                f"{gone:,} rows of {self.pool.url} are gone since they were embedded, and are left out: "
                f"{EMBED} {project.now.id} forgets them."
            )
        if not self.dry_run:
            write_candidates(found.vectors.folder, rows, there)
        return self._with_rows(without_rows(project), rows, there, recorder)

    def sample(self, project: RoundProject, count: int) -> Sequence[Task]:
        """Rows of the pass's own sample, which the candidates hold all of; see `OutsidePool.sample`."""
        return sample_of(project, min(count, self._pass.drawn))

    # --- rows among the open tasks -----------------------------------------------------------------------------

    def _with_rows(
        self, project: RoundProject, rows: Rows, data: Sequence[Mapping[str, Any]], recorder: Recorder
    ) -> RoundProject:
        if self._suited is None:
            return project
        new = [place for place, row in enumerate(rows.names) if row not in self._taken]
        rows, data = rows.take(np.array(new, dtype=np.int64)), [data[place] for place in new]
        tasks = [Task(key, each) for key, each in zip(rows.keys.tolist(), data, strict=True)]
        project.items.update(candidate_items(project, self._suited, tasks, rows, recorder.report))
        self._rows |= {task.id: (row, task.data) for task, row in zip(tasks, rows.names, strict=True)}
        pool = replace(project.pool, open=[*project.pool.open, *tasks])
        return replace(project, pool=pool)

    # --- chosen rows become tasks ------------------------------------------------------------------------------

    def fed(
        self, project: RoundProject, chosen: Sequence[int], recorder: Recorder
    ) -> tuple[RoundProject, Mapping[int, int]]:
        """Make tasks of chosen rows; see `OutsidePool.fed`."""
        rows, lost = chosen_data(self.pool, {key: self._rows[key] for key in chosen if key in self._rows})
        if lost:
            recorder.warn(f"{len(lost)} chosen pictures are left out: {', '.join(lost[:SHOWN])}")
        with recorder.step("feed") as step:
            took = feed(self.client, project.now.id, self.store, list(rows.values()), step.progress)
            step.detail = f"{len(took.tasks):,} rows became tasks"
        if took.refused:
            row, why = next(iter(took.refused.items()))
            recorder.warn(f"Label Studio refused {len(took.refused)} rows of the pool, {row!r} for one: {why}")
        made = {key: took.tasks[data[ROW_FIELD]] for key, data in rows.items() if data[ROW_FIELD] in took.tasks}
        project = with_made(project, {key: Task(task, rows[key]) for key, task in made.items()})
        recorder.report.open_tasks += len(made)
        if made:
            recorder.report.fed = look(self.client, project.now.id)
        self._taken |= {data[ROW_FIELD] for data in rows.values()}
        files = getattr(stored(self.store), "files", "")
        note(self.store, replace(self._pass, fed=len(made), tasks=len(self._taken), files=files))
        return project, made

    # --- after the new order stands ----------------------------------------------------------------------------

    def concluded(self, project: RoundProject, recorder: Recorder) -> None:
        """Take back what lost its place, and embed what is new; see `OutsidePool.concluded`."""
        with recorder.sparing_the_round("looking after the pool", "The pool was not looked after"):
            if recorder.report.fed:  # else pages take the new tasks for deleted ones until somebody reads them
                TaskCache(self.store.task_cache_path).refresh(self.client, project.now.id, changes_only=True)
            taken = take_back(project, self.client, recorder)
            before = stored(self.store) or self._pass
            files = self._files or before.files
            if self.settings is not None and self._suited is not None:
                files = embed_new(self.settings, Source(self.pool), self._suited, recorder, files)
            if taken or files != before.files:
                note(self.store, replace(before, files=files, tasks=before.tasks - taken))

    @contextmanager
    def _told(self, recorder: Recorder) -> Iterator[None]:
        """What keeps the pool from being searched is a warning of the round; the tasks that are there are ordered."""
        try:
            yield
        except (DataError, StoreError, ConfigurationError) as exc:
            self._pass = LastPass(datetime.now(UTC).isoformat(), tasks=len(self._taken), problem=str(exc))
            recorder.warn(f"Nothing new comes from the pool: {exc}")
            if not self.dry_run:
                note(self.store, self._pass)
