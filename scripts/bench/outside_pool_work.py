"""What `bench.outside_pool` times, an action a process: each has a peak of memory of its own. Prints JSON."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml_backend import hardware
from ml_backend.pool.embed import EmbedOptions, embed
from ml_backend.pool.encoders import TEXT, PoolEncoder
from ml_backend.pool.engine import cores
from ml_backend.pool.heads import Head
from ml_backend.pool.vectors import About, Half, Vectors
from ml_backend.simulation.headline_files import load_headlines

CLASSES: Final = ("a", "b", "c", "d")
CHOSEN: Final = 1_000
PART: Final = 100_000
BLOCK: Final = 1_024
HANDED: Final = 16
"""Blocks that a process of the encoder alone gets at once."""
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
    """Read all vectors once with pyarrow, on all cores."""
    import pyarrow.parquet as pq

    started, rows = time.perf_counter(), 0
    for path in Vectors(Path(folder)).parts():
        rows += len(pq.read_table(path))
    return {"seconds": time.perf_counter() - started, "rows": rows}


def one_pass(folder: str, exact: str) -> dict[str, Any]:
    """From a head to the rows that it is least sure of; with ``exact`` beside all of them in memory."""
    from ml_backend.pool.scoring import Wanted
    from ml_backend.pool.scoring import one_pass as look

    vectors = Vectors(Path(folder))
    about = vectors.about()
    assert about is not None
    head = _head(about.dimensions)
    wanted = Wanted(best=CHOSEN, drawn=CHOSEN, strategy="entropy", seed=SEED)
    started = time.perf_counter()
    found = look(vectors.batches(), wanted, head)
    seconds = time.perf_counter() - started
    assert found.best is not None
    same = found.best.names == _in_memory(vectors, head) if exact == "exact" else None
    return {"seconds": seconds, "rows": found.rows, "same": same}


def encoder_alone(place: str, encoder: str) -> dict[str, Any]:
    """The encoder over all texts, a process a core, loaded before."""
    blocks = list(_blocks(Path(place)))
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores(), _load, (encoder,)) as pool:
        pool.map(_encode, [blocks[0]] * cores(), chunksize=1)
        started = time.perf_counter()
        for _ in pool.imap_unordered(_encode, blocks, chunksize=HANDED):
            pass
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "rows": sum(map(len, blocks))}


def embedded(place: str, encoder: str, folder: str) -> dict[str, Any]:
    """All texts embedded into a pool's vectors, from the file to the last part on the disk."""
    from ml_backend.pool.document import Pool
    from ml_backend.pool.source import Source

    source = Source(Pool(place, "parquet", "id", {"text": "text"}, {"id": "String", "text": "String"}))
    started = time.perf_counter()
    done = embed(source, Vectors(Path(folder)), PoolEncoder(TEXT, encoder), EmbedOptions())
    return {"seconds": time.perf_counter() - started, "embedding": done.seconds, "rows": done.new}


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


def _in_memory(vectors: Vectors, head: Head) -> list[str]:
    """The ids of the exact top, of all rows at once."""
    from ml_backend.pool.scoring import Rows
    from ml_backend.selection.ordering import rank, uncertainty

    parts = [Rows.of(ids, part) for ids, part in vectors.batches()]
    keys = np.concatenate([part.keys for part in parts])
    everything: Half = np.concatenate([part.vectors for part in parts])
    values = uncertainty("entropy", head.probabilities(everything), keys, seed=SEED)
    best = rank(values, keys, seed=SEED, count=CHOSEN)
    names = [name for part in parts for name in part.names]
    return [names[place] for place in best.tolist()]


def _blocks(place: Path) -> Iterator[list[str]]:
    import pyarrow.parquet as pq

    for path in sorted(place.glob("*.parquet")):
        texts = pq.read_table(path, columns=["text"]).column("text").to_pylist()
        yield from (texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK))


_encoder: PoolEncoder | None = None


def _load(name: str) -> None:
    global _encoder
    hardware.use(hardware.Hardware())
    _encoder = PoolEncoder(TEXT, name)


def _encode(texts: list[str]) -> int:
    assert _encoder is not None
    return len(_encoder.vectors(texts)[0])


ACTIONS: Final = {
    action.__name__: action for action in (make_vectors, make_texts, read, one_pass, encoder_alone, embedded)
}

if __name__ == "__main__":
    main()
