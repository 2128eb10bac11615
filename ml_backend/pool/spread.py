"""The pass over a pool's vectors on the machines of a Ray cluster, where one is chosen; else in this process.

Each worker looks at some of the files, and what they found is put together: the same rows as in one pass. A worker that
is lost costs the time of its files. A machine that does not see the folder of the vectors leaves its files to this one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from ml_backend import hardware
from ml_backend.pool.engine import cores, on_ray, reading
from ml_backend.pool.heads import Head, PackedHead
from ml_backend.pool.scoring import Found, Search, Wanted
from ml_backend.pool.vectors import Vectors

FILES: Final = 4
"""That a worker gets at once: some hundred thousand rows."""
THREADS: Final = 2
"""Of a worker, which has one core: it scores some rows while others are read."""
RETRIES: Final = 5
"""Of the files of a worker that was lost."""


def spread_pass(
    vectors: Vectors,
    wanted: Wanted,
    head: Head | None,
    hardware_: hardware.Hardware | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Found:
    """Look at every row once; see `scoring.one_pass`.

    Args:
        vectors: of the pool.
        wanted: what to look for.
        head: of the version; None before a first.
        hardware_: where a worker computes.
        progress: called with the rows behind it.

    Raises:
        StoreError: a file is damaged. DataError: the cluster failed. ConfigurationError: it cannot be reached.
    """
    if not on_ray():
        return Search(wanted).look(vectors.groups(), head, progress=progress).found()
    search, files = Search(wanted), vectors.parts()
    groups = [files[start : start + FILES] for start in range(0, len(files), FILES)]
    with reading(str(vectors.folder)):
        for group, there in _on_workers(vectors, groups, wanted, head, hardware_ or hardware.Hardware()):
            search.join(there or Search(wanted).look(vectors.groups(group), head))
            if progress is not None:
                progress(search.rows)
    return search.found()


def _on_workers(
    vectors: Vectors,
    groups: Sequence[Sequence[Path]],
    wanted: Wanted,
    head: Head | None,
    hardware_: hardware.Hardware,
) -> Any:
    """Each group and what its worker found, in order; no more are under way than the cluster has cores, and one."""
    most = cores() + 1
    import ray

    look = ray.remote(max_retries=RETRIES)(_looked_at)
    shared = ray.put((vectors.folder, wanted, None if head is None else head.packed(), hardware_))
    waiting: deque[tuple[Sequence[Path], Any]] = deque()
    for group in groups:
        waiting.append((group, look.remote(shared, list(group))))
        if len(waiting) > most:
            first, found = waiting.popleft()
            yield first, ray.get(found)
    for first, found in waiting:
        yield first, ray.get(found)


def _looked_at(
    shared: tuple[Path, Wanted, PackedHead | None, hardware.Hardware], files: Sequence[Path]
) -> Search | None:
    """On a worker: what some files hold; None where it does not see them."""
    folder, wanted, packed, hardware_ = shared
    if not all(path.exists() for path in files):
        return None
    hardware.use(hardware_)
    head = None if packed is None else packed.unpacked()
    return Search(wanted).look(Vectors(folder).groups(files), head, threads=THREADS)
