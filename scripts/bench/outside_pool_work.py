"""What `bench.outside_pool` times, an action a process: each has a peak of memory of its own. Prints JSON."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml_backend import extras, hardware
from ml_backend.pool import workers
from ml_backend.pool.embed import EmbedOptions, embed
from ml_backend.pool.encoders import TEXT, PoolEncoder
from ml_backend.pool.engine import cores
from ml_backend.pool.heads import Head
from ml_backend.pool.vector_columns import vectors_in
from ml_backend.pool.vectors import GROUP, VECTOR, About, Vectors
from ml_backend.simulation.headline_files import load_headlines

CLASSES: Final = ("a", "b", "c", "d")
CHOSEN: Final = 1_000
PART: Final = 100_000
HANDED: Final = 16_384
"""Texts that a process of the encoder alone gets at once."""
SEED: Final = 0


def main() -> None:
    """Do the action that is named first; what follows are its arguments."""
    name, *arguments = sys.argv[1:]
    print(json.dumps(ACTIONS[name](*arguments)))


def make_vectors(folder: str, rows: str, dimensions: str) -> dict[str, Any]:
    """Rows of length 1 in some clusters, as embeddings lie."""
    import pyarrow as pa

    total, size, rng = int(rows), int(dimensions), np.random.default_rng(SEED)
    vectors = Vectors(Path(folder))
    vectors.start(About("made", "made", size))
    centres = rng.standard_normal((50, size)).astype(np.float32)
    for start in range(0, total, PART):
        count = min(PART, total - start)
        part = centres[rng.integers(50, size=count)] + rng.standard_normal((count, size)).astype(np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        vectors.add(pa.array([f"row-{number}" for number in range(start, start + count)]), part.astype(np.float16))
    return {"bytes": sum(path.stat().st_size for path in vectors.parts())}


def make_lists(folder: str, out: str) -> dict[str, Any]:
    """The same vectors as lists of half floats, as they were kept before they became blocks of bytes."""
    pa, pq = (extras.require("A pool", "pyarrow", module) for module in ("pyarrow", "pyarrow.parquet"))
    Path(out).mkdir()
    for path in Vectors(Path(folder)).parts():
        table = pq.read_table(path)
        part = vectors_in(table[VECTOR].combine_chunks())
        kind = pa.list_(pa.field("item", pa.float16(), nullable=False), part.shape[1])
        column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), type=kind)
        place, field = table.column_names.index(VECTOR), pa.field(VECTOR, kind, nullable=False)
        plain: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        table = table.set_column(place, field, column)
        pq.write_table(table, Path(out) / path.name, row_group_size=GROUP, **plain)
    return {}


def make_texts(path: str, data: str, rows: str) -> dict[str, Any]:
    """Headlines of the usual lengths, their words drawn again from those of real ones."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = [item.text.split() for item in load_headlines(Path(data)).unlabelled]
    words = np.array([word for each in written for word in each], dtype=object)
    lengths = np.array([len(each) for each in written])
    rng, total = np.random.default_rng(SEED), int(rows)
    Path(path).mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, total, PART)):
        counts = rng.choice(lengths, min(PART, total - start))
        drawn, ends = words[rng.integers(len(words), size=counts.sum())], np.cumsum(counts)
        texts = [" ".join(drawn[end - count : end]) for count, end in zip(counts, ends, strict=True)]
        ids = [f"row-{row}" for row in range(start, start + len(texts))]
        pq.write_table(pa.table({"id": ids, "text": texts}), Path(path) / f"{number:05d}.parquet")
    return {}


def read(folder: str) -> dict[str, Any]:
    """Read all vectors once with pyarrow on all cores, file by file or as one data set: the quicker of both."""
    pq, ds = (extras.require("A pool", "pyarrow", module) for module in ("pyarrow.parquet", "pyarrow.dataset"))
    files = [str(path) for path in Vectors(Path(folder)).parts()]

    def by_file() -> int:
        return sum(len(pq.read_table(path)) for path in files)

    def as_one() -> int:
        return sum(len(batch) for batch in ds.dataset(files).to_batches())

    return min((_timed(way) for way in (by_file, as_one)), key=lambda found: float(found["seconds"]))


def one_pass(folder: str, how: str) -> dict[str, Any]:
    """From a head to the rows that it is least sure of; ``exact``: beside all values; ``near``: neighbours, too."""
    from ml_backend.pool.neighbours import AT_ONCE
    from ml_backend.pool.scoring import Wanted
    from ml_backend.pool.scoring import one_pass as look

    vectors = Vectors(Path(folder))
    about = vectors.about()
    assert about is not None
    head, rng = _head(about.dimensions), np.random.default_rng(SEED)
    items = rng.standard_normal((AT_ONCE, about.dimensions)).astype(np.float32) if how == "near" else None
    wanted = Wanted(best=CHOSEN, drawn=CHOSEN, strategy="entropy", seed=SEED, near=items)
    picks: list[str] = []

    def passing() -> int:
        found = look(vectors.groups(), wanted, head)
        assert found.best is not None
        picks[:] = found.best.names
        return found.rows

    done = _timed(passing)
    return done | {"same": _is_exact(picks, vectors, head) if how == "exact" else None}


def _timed(action: Callable[[], float]) -> dict[str, Any]:
    """Seconds, CPU seconds of all threads, and what an action gives."""
    started, used = time.perf_counter(), time.process_time()
    value = action()
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used, "value": value}


def encoder_alone(place: str, encoder: str) -> dict[str, Any]:
    """The encoder over all texts, a process a core, loaded before; it gets them as embedding gives them to it."""
    at_once = workers.at_once(PoolEncoder(TEXT, encoder))
    blocks = list(_blocks(Path(place), at_once))
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores(), _load, (encoder,)) as pool:
        pool.map(_encode, [blocks[0]] * cores(), chunksize=1)

        def encoding() -> float:
            return sum(pool.imap_unordered(_encode, blocks, chunksize=HANDED // at_once))

        done = _timed(encoding)
    return done | {"cpu": done["cpu"] + done["value"]}


def embedded(place: str, encoder: str, folder: str) -> dict[str, Any]:
    """All texts embedded into a pool's vectors, from the file to the last part on the disk."""
    from ml_backend.pool.document import Pool
    from ml_backend.pool.source import Source

    source = Source(Pool(place, "parquet", "id", {"text": "text"}, {"id": "String", "text": "String"}))
    made_by, vectors = PoolEncoder(TEXT, encoder), Vectors(Path(folder))
    done = _timed(lambda: embed(source, vectors, made_by, EmbedOptions()).new)
    return done if made_by.in_threads else done | {"cpu": None}  # what other processes used is not known


def _head(dimensions: int) -> Head:
    """Of a linear classifier with drawn weights."""
    import torch

    from ml_backend.models.sentences import Sentences

    generator = torch.Generator().manual_seed(SEED)
    weights = {
        "head.weight": 8 * torch.randn(len(CLASSES), dimensions, generator=generator),
        "head.bias": torch.zeros(len(CLASSES)),
    }
    config = {"encoder": "minilm", "dimensions": dimensions, "dropout": 0.0}
    return Head("made", CLASSES, PoolEncoder(TEXT, "minilm"), Sentences.from_state(CLASSES, weights, config))


def _is_exact(picks: list[str], vectors: Vectors, head: Head) -> bool:
    """Whether picks are the largest of all values, computed anew and ranked in memory.

    And of those that numpy computes, whose last digits differ: none of the picks is further below than these.
    """
    import pyarrow as pa

    from ml_backend.pool.row_keys import row_keys
    from ml_backend.selection.ordering import rank, uncertainty

    weights = head.model.state()[0]["head.weight"].numpy()
    ids, keys, values, plain = [], [], [], []
    for names, part in vectors.batches():
        ids.append(names)
        keys.append(row_keys(names))
        values.append(uncertainty("entropy", head.probabilities(part), keys[-1], seed=SEED))
        powers = np.exp(part.astype(np.float32) @ weights.T)
        shares = powers / powers.sum(axis=1, keepdims=True)
        plain.append(-(shares * np.log(shares)).sum(axis=1) / np.log(len(CLASSES)))
    best = rank(np.concatenate(values), np.concatenate(keys), seed=SEED, count=len(picks))
    beside = np.concatenate(plain)
    least = np.partition(beside, len(beside) - len(picks))[len(beside) - len(picks)]
    return picks == pa.chunked_array(ids).take(pa.array(best)).to_pylist() and bool(
        (beside[best] >= least - 1e-5).all()
    )


def _blocks(place: Path, rows: int) -> Iterator[Any]:
    """The texts, so many an Arrow array."""
    pq = extras.require("A pool", "pyarrow", "pyarrow.parquet")
    for path in sorted(place.glob("*.parquet")):
        yield from (batch.column(0) for batch in pq.ParquetFile(path).iter_batches(rows, columns=["text"]))


_encoder: PoolEncoder | None = None


def _load(name: str) -> None:
    global _encoder
    workers.keep_to_one_core()
    hardware.use(hardware.Hardware())
    _encoder = PoolEncoder(TEXT, name)


def _encode(texts: Any) -> float:
    """CPU seconds."""
    assert _encoder is not None
    used = time.process_time()
    _encoder.vectors_of([texts])
    return time.process_time() - used


ACTIONS: Final = {
    action.__name__: action
    for action in (make_vectors, make_lists, make_texts, read, one_pass, encoder_alone, embedded)
}

if __name__ == "__main__":
    main()
