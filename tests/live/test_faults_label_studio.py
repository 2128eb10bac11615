"""Label Studio down, slow, overloaded, or its answers lost, at each request of a round: what stands, and what heals."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from support.faulty_proxy import Fault, FaultyProxy, Hurried

from ml_backend.config import ProjectSettings
from ml_backend.doctor.order_proof import prove_order
from ml_backend.errors import LabelStudioError
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.publishing import TAB_TITLE
from ml_backend.label_studio.retries import RetryPolicy
from ml_backend.rounds.log import last_seen, rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.project_store import Current, ProjectStore

FAST = ProjectSettings(strategy="entropy", text_model="headlines", queue_size=4, hyperparameters={"steps": 10})
WORDS = ("flood in the river", "football match tonight")
PROJECT, TASKS = "GET api/projects/N", "GET api/tasks"
VERSIONS, IMPORT = "GET api/projects/N/model-versions", "POST api/projects/N/import/predictions"
SWITCH, DELETE, TABS = "PATCH api/projects/N", "DELETE api/projects/N/model-versions", "GET api/dm/views"
ROUND = [
    PROJECT,  # which store
    *(TASKS, PROJECT),  # under the lock: what there is now, and since when
    TASKS,  # what changed
    VERSIONS,  # which numbers are taken, and which orders are old enough to go
    IMPORT,
    *(PROJECT, SWITCH),  # whether the question is still the same, just before the switch
    DELETE,
    TABS,
]
"""Every request of a round with one new label; a test holds it against what is really sent."""
AFTER_SWITCH = ROUND.index(SWITCH) + 1
WRITES = tuple(number for number, name in enumerate(ROUND) if not name.startswith("GET"))
PASSING = (Fault.ERROR, Fault.LOCKED, Fault.UNAVAILABLE, Fault.BAD_GATEWAY, Fault.CUT, Fault.LOST)
REFUSING = (Fault.ERROR, Fault.LOCKED, Fault.UNAVAILABLE, Fault.BAD_GATEWAY)
LASTING = [
    (number, fault)
    for number in range(len(ROUND))
    # A read that never succeeds ends one way, whichever of these it suffers: each read gets one of them. So does a
    # write that is refused; one whose answer is lost may have been done.
    for fault in (
        Fault.HANG,
        Fault.DOWN,
        *(
            (Fault.CUT, Fault.LOST, REFUSING[WRITES.index(number) % len(REFUSING)])
            if number in WRITES
            else (PASSING[number % len(PASSING)],)
        ),
    )
]
SHORT_TIMEOUT = 1.0
NO_WAIT = 0.001


@dataclass
class Bench:
    """A project behind the proxy, its store, and an undisturbed client to see what is really there."""

    id: int
    question: ChoiceQuestion
    open_ids: list[int]
    direct: LabelStudioClient
    proxy: FaultyProxy
    store: ProjectStore
    disturbed: Workspace
    hurried: Workspace
    """The same, which waits for a moment only for an answer that never comes."""
    calm: Workspace

    def label(self) -> int:
        """Answer an open task, so that the next round trains."""
        task_id = self.open_ids.pop()
        value = {"choices": [("related", "not related")[task_id % 2]]}
        answer = {"from_name": self.question.control, "to_name": self.question.object, "type": "choices"}
        return self.direct.annotate(task_id, [answer | {"value": value}])

    def round(self, workspace=None):
        return record_round(workspace or self.calm, RoundRequest(self.id, "asked"))

    def served(self) -> str:
        """The name of the order that annotators get. It is one whole queue, whatever happened."""
        project = self.direct.project(self.id)
        assert project.sampling == UNCERTAINTY_SAMPLING
        queue = self.store.queue(project.model_version)
        tasks = [row["task"] for row in self.direct.predictions(self.id) if row["model_version"] == queue.name]
        assert sorted(tasks) == sorted(prediction.task_id for prediction in queue.predictions)
        return queue.name

    def whole_versions(self) -> list[str]:
        """All stored versions; each can be loaded."""
        for name in self.store.versions():
            assert self.store.manifest(name).name == name
            assert self.store.weights(name)
        return self.store.versions()

    def annotations(self) -> int:
        return self.direct.project(self.id).annotation_count

    def is_right(self, report, *, prove: bool = True) -> None:
        """An undisturbed round left everything as it should be."""
        assert report.published
        assert report.warnings == [w for w in report.warnings if "evaluation" in w]
        assert self.served() == report.queue.name
        assert self.store.current() == Current(report.version, report.queue.name)
        assert sum(self.store.manifest(report.version).label_counts.values()) == self.annotations()
        assert self.direct.prediction_versions(self.id) == {report.queue.name: len(report.queue.predictions)}
        assert [tab["data"]["title"] for tab in self.direct.tabs(self.id)].count(TAB_TITLE) == 1
        if prove:
            assert prove_order(self.direct, self.id, report.queue, self.question, count=2).holds


@pytest.fixture(scope="module")
def proxy(label_studio):
    proxy = FaultyProxy(label_studio.url)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def make_bench(label_studio, make_project, proxy, tmp_path_factory):
    def make(tasks):
        project = make_project("headlines", [{"text": f"{WORDS[n % 2]}, story {n}"} for n in range(tasks)])
        patience = RetryPolicy(first_wait=NO_WAIT, longest_wait=NO_WAIT)
        patient, hasty = (
            label_studio.new_client(label_studio.token, url=proxy.url, patience=patience, transport=transport)
            for transport in (None, Hurried(proxy, SHORT_TIMEOUT))
        )
        root = tmp_path_factory.mktemp("faults")
        disturbed, hurried, calm = (
            Workspace(client, root, FAST, keep_versions=3, keep_queues=timedelta(0))
            for client in (patient, hasty, project.client)
        )
        store = ProjectStore(root, project.project.uid)
        ids = list(project.task_ids)
        bench = Bench(project.id, project.question, ids, project.client, proxy, store, disturbed, hurried, calm)
        for _ in range(4):
            bench.label()
        return bench

    return make


@pytest.fixture(scope="module")
def shared_bench(make_bench):
    """One project for all cases, after a first round."""
    bench = make_bench(150)
    bench.round()
    return bench


@pytest.fixture
def bench(shared_bench):
    """The shared project with a new label, so that a round has something to do."""
    shared_bench.label()
    yield shared_bench
    shared_bench.proxy.heal()


def at(number, fault):
    """Break the n-th request, its repetitions, and what comes later of its kind; of DOWN, all that comes later."""
    return lambda request: fault if request.number >= number and request.name == ROUND[number] else None


def once_each(fault):
    """Break the first try of every request of a round."""
    seen = set()

    def plan(request):
        if request.name == IMPORT or request.number in seen:
            return None
        seen.add(request.number + 1)  # the repetition
        return fault

    return plan


def test_a_round_makes_these_requests(bench):
    bench.proxy.start(lambda request: None)
    report = bench.round(bench.disturbed)
    assert bench.proxy.names == ROUND
    bench.is_right(report)


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_not_noticed(bench, fault):
    bench.proxy.start(once_each(fault))
    report = bench.round(bench.disturbed)
    assert len(bench.proxy.names) == 2 * len(ROUND) - 1
    assert report.trained
    bench.is_right(report)


@pytest.mark.parametrize(("number", "fault"), LASTING, ids=[f"{n}-{ROUND[n]}-{f.name}" for n, f in LASTING])
def test_a_fault_that_lasts_leaves_one_whole_order(bench, number, fault):
    workspace = bench.hurried if fault is Fault.HANG else bench.disturbed
    labels, versions, order = bench.annotations(), bench.whole_versions(), bench.served()
    bench.proxy.start(at(number, fault))
    report = error = None
    try:
        report = bench.round(workspace)
    except LabelStudioError as exc:
        error = str(exc)
    bench.proxy.heal()
    last = rounds(bench.store, newest=1)[0]
    assert last["error"] == error
    if error:  # what, where, and what next
        assert bench.proxy.url in error or f"roject {bench.id}" in error, error
        assert any(word in error for word in ("Try again", "try again", "Start it", "See LABEL_STUDIO_URL")), error
        assert number < AFTER_SWITCH
        assert bench.served() in (order, bench.store.queue(bench.served()).name)
        assert bench.store.current().queue == order
        assert last_seen(bench.store).annotations < labels  # so a look finds it, and it is tried again
    else:
        assert bench.served() == report.queue.name == bench.store.current().queue
        assert any("not tidied" in warning for warning in report.warnings) == (number >= AFTER_SWITCH)
    assert bench.annotations() == labels
    assert versions[-1] in bench.whole_versions()
    bench.is_right(bench.round(), prove=number in WRITES)
