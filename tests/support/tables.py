"""Small pools in files: tables of texts, folders of pictures."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ml_backend.pool.document import Pool
from ml_backend.pool.listing import address, listing
from ml_backend.pool.source import schema_of

HEADLINES = tuple(f"flood warning number {number}" for number in range(40))


def write_table(path, rows, columns=("id", "text")):
    """A table of the kind that its name says; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: [row[i] for row in rows] for i, name in enumerate(columns)}), path)
    elif path.suffix == ".csv":
        text = io.StringIO()
        csv.writer(text).writerows([columns, *rows])
        path.write_text(text.getvalue(), encoding="utf-8")
    else:
        lines = (json.dumps(dict(zip(columns, row, strict=True))) for row in rows)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def headline_rows(count=40, start=0):
    return [(f"r{number}", f"flood warning number {number}") for number in range(start, start + count)]


def write_picture(path, colour=(200, 30, 30), side=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(path)
    return path


def pool_of(place, id_column="id", fields=None):
    """A pool as `connect` makes it, of the files at a place."""
    found = listing(address(str(place)))
    schema = schema_of(found)
    if found.kind == "pictures":
        id_column, fields = "path", fields or {"image": "path"}
    fields = fields or {"text": "text"}
    used = {name: schema[name] for name in (id_column, *fields.values())}
    return Pool(found.url, found.kind, id_column, fields, used, size=found.size)
