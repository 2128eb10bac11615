"""Vectors as they were kept before they became blocks of bytes, and before numbers of their rows lay beside them."""

import pyarrow as pa
import pyarrow.parquet as pq

from ml_backend.pool.vector_columns import vectors_in
from ml_backend.pool.vectors import KEY, VECTOR


def without_keys(part):
    """Write a part anew, without the numbers of its rows."""
    pq.write_table(pq.read_table(part).drop_columns([KEY]), part, compression="none")


def make_older(part):
    """Write a part anew, its vectors as lists of half floats, without the numbers of its rows."""
    without_keys(part)
    table = pq.read_table(part)
    vectors = vectors_in(table[VECTOR].combine_chunks())
    kind = pa.list_(pa.field("item", pa.float16(), nullable=False), vectors.shape[1])
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=kind)
    field = pa.field(VECTOR, kind, nullable=False)
    pq.write_table(table.set_column(table.column_names.index(VECTOR), field, column), part, compression="none")
