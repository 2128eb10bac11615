"""Tasks are read around those on which Label Studio fails, and in parts where a page is too large."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ml_backend.errors import LabelStudioRejected
from ml_backend.fetching.bodies import BodyError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.present import read_present
from ml_backend.label_studio.retries import RetryPolicy
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.label_studio.task_pages import MOST_LEFT_OUT

LONG_AGO = "2000-01-01T00:00:00.000000Z"
NOON = "2026-01-01T12:00:00.000000Z"


class Studio:
    """Answers `/api/tasks` for tasks 1 to N, as Label Studio does, but for those that it cannot show."""

    def __init__(self, count: int) -> None:
        self.tasks = set(range(1, count + 1))
        self.broken: set[int] = set()
        self.most_at_once = 10**6
        """Tasks with their data in one answer; more are larger than is read."""
        self.status = 500
        self.sizes: list[int] = []
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if request.url.path == "/api/projects/1":
            counts = {"task_number": len(self.tasks), "total_annotations_number": 0, "skipped_annotations_number": 0}
            about = {"id": 1, "title": "p", "label_config": "<View/>", "created_at": NOON, "model_version": ""}
            return httpx.Response(200, json=about | counts | {"sampling": "", "maximum_annotations": 1})
        asked = request.url.params
        found = sorted(filter(self._chosen(json.loads(asked["query"])), self.tasks))
        size, page = int(asked["page_size"]), int(asked["page"])
        found = found[(page - 1) * size : page * size]
        if page > 1 and not found:
            return httpx.Response(404)
        if "data" in asked["include"].split(","):
            self.sizes.append(len(found))
            if len(found) > self.most_at_once:
                raise BodyError("it is larger than 256 MiB")
            if self.broken & set(found):
                return httpx.Response(self.status, json={"detail": "surrogates not allowed"})
        rows = [{"id": i, "updated_at": NOON, "data": {"text": f"{i}"}, "is_labeled": False} for i in found]
        return httpx.Response(200, json={"tasks": rows})

    @staticmethod
    def _chosen(query: dict[str, Any]) -> Callable[[int], bool]:
        items = query.get("filters", {}).get("items", ())
        ids = [item for item in items if item["filter"] == "filter:tasks:id"]
        if ids and ids[0]["operator"] == "equal":
            return lambda i: i in {item["value"] for item in ids}
        return lambda i: all(i > item["value"] for item in ids)


@pytest.fixture
def studio() -> Studio:
    return Studio(120)


@pytest.fixture
def client(studio: Studio) -> Iterator[LabelStudioClient]:
    made = LabelStudioClient(
        "http://studio.invalid",
        "0123456789abcdef0123456789abcdef01234567",
        patience=RetryPolicy(tries=1),
        transport=httpx.MockTransport(studio),
    )
    yield made
    made.close()


def read(client: LabelStudioClient, kind: str) -> tuple[list[int], list[int]]:
    """Ids of the tasks that were read, and of those that were left out."""
    left_out: list[int] = []
    pages = {
        "all": lambda: client.all_tasks(1, left_out.append),
        "changed": lambda: client.changed_tasks(1, LONG_AGO, left_out.append),
    }[kind]()
    return [row["id"] for page in pages for row in page], sorted(left_out)


@pytest.mark.parametrize("kind", ["all", "changed"])
@pytest.mark.parametrize("page_size", [7, 60, 1000])
@pytest.mark.parametrize("broken", [set(), {1}, {120}, {60, 61}, {7, 8, 50, 119}])
def test_tasks_that_cannot_be_shown_are_left_out_and_no_others(
    studio: Studio, client: LabelStudioClient, kind: str, page_size: int, broken: set[int]
) -> None:
    client.page_size, studio.broken = page_size, broken
    found, left_out = read(client, kind)
    assert sorted(found) == sorted(studio.tasks - broken), "each once"
    assert left_out == sorted(broken)


@pytest.mark.parametrize("kind", ["all", "changed"])
@pytest.mark.parametrize("most", [1, 10, 60])
def test_pages_that_are_too_large_are_read_in_parts(
    studio: Studio, client: LabelStudioClient, kind: str, most: int
) -> None:
    studio.most_at_once = most
    assert read(client, kind) == (sorted(studio.tasks), [])


def test_outlines_name_what_is_left_out_in_the_log(
    studio: Studio, client: LabelStudioClient, caplog: pytest.LogCaptureFixture
) -> None:
    studio.broken = {17}
    assert [task.id for page in client.task_outlines(1) for task in page] == sorted(studio.tasks - {17})
    assert "task 17 is left out" in caplog.text


def test_one_bad_task_costs_few_requests(studio: Studio, client: LabelStudioClient) -> None:
    studio.broken = {33}
    read(client, "all")
    assert len(studio.sizes) <= 1 + 3 + 2 * 6, "the page, its parts of 50, and halves"


@pytest.mark.parametrize("status", [502, 503])
def test_a_server_that_is_away_is_no_bad_task(studio: Studio, client: LabelStudioClient, status: int) -> None:
    studio.broken, studio.status = {33}, status
    with pytest.raises(LabelStudioRejected, match=str(status)):
        read(client, "all")
    assert len(studio.sizes) == 1


def test_where_all_fail_it_is_not_the_tasks(studio: Studio, client: LabelStudioClient) -> None:
    studio.broken = set(studio.tasks)
    assert len(studio.tasks) > MOST_LEFT_OUT
    with pytest.raises(LabelStudioRejected, match="500"):
        read(client, "all")


def test_the_copy_remembers_what_is_left_out_until_it_is_gone(
    studio: Studio, client: LabelStudioClient, tmp_path: Path
) -> None:
    cache = TaskCache(tmp_path / "tasks.sqlite")
    studio.broken = {5, 6}
    first, second = (cache.refresh(client, 1) for _ in range(2))
    assert (first.full, first.left_out, second.left_out) == (True, (5, 6), (5, 6))
    assert {task.id for task in cache.tasks()} == studio.tasks - {5, 6}
    studio.broken, studio.tasks = set(), studio.tasks - {5}
    third = cache.refresh(client, 1)
    assert third.left_out == ()
    assert {task.id for task in cache.tasks()} == studio.tasks


def test_a_refresh_goes_by_what_was_just_read_unless_something_came_since(
    studio: Studio, client: LabelStudioClient, tmp_path: Path
) -> None:
    cache, present = TaskCache(tmp_path / "tasks.sqlite"), read_present(client, 1)

    def asked(*, full: bool = False, **changes: str) -> list[str]:
        studio.asked.clear()
        assert cache.refresh(client, 1, present=replace(present, **changes)).full == full
        assert {task.id for task in cache.tasks()} == studio.tasks
        return studio.asked

    tasks, project = "/api/tasks", "/api/projects/1"
    anew = [tasks, tasks, project]
    assert asked(full=True) == [tasks, project]
    assert asked() == [tasks]
    assert asked(since=LONG_AGO) == anew, "another refresh came between: no clock was set back"
    studio.tasks.add(121)
    assert asked() == [tasks, *anew]
    studio.tasks.remove(7)
    seen = cache.refresh(client, 1)
    assert (seen.full, seen.read) == (True, 120), "a task that is read twice is one"
