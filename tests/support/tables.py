"""Small pools in files: tables of texts, folders of pictures."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from support.stores import manifest

from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.models.sentences import Sentences
from ml_backend.pool.document import Pool
from ml_backend.pool.listing import address, listing
from ml_backend.pool.source import schema_of
from ml_backend.store.project_store import Current, ProjectStore

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


CONFIG = """<View><Text name="text" value="$text"/><Choices name="label" toName="text"><Choice value="flood"/>
<Choice value="other"/></Choices></View>"""
PICTURES_CONFIG = CONFIG.replace("<Text", "<Image").replace("$text", "$image")
LIGHT = {"hyperparameters": {"encoder": "wordllama"}}
"""Extra params of a project that reads texts through the light encoder."""


def project_store(folder, config=CONFIG, params=None):
    """The store of a project, as the backend knows it once it is connected."""
    store = ProjectStore(folder, "7.1700000000")
    store.note_question(parse_label_config(config), "Texts")
    store.set_extra_params(LIGHT if params is None else params)
    return store


PAIR = CONFIG.replace("<Text", '<Text name="title" value="$title"/><Text', 1)
"""Shows two texts."""


def trained(store, name="sentences-0001-0123abcd", *, multiple=False):
    """A version that tells floods from all else, in use; of sets where ``multiple``: some floods are both."""
    texts = [*(f"flood warning in town {n}" for n in range(20)), *(f"cricket match number {n}" for n in range(20))]
    targets = np.array([0] * 20 + [1] * 20)
    model = Sentences(["flood", "other"], multiple=multiple)
    if multiple:
        texts += [f"flood stops cricket match {n}" for n in range(20)]
        targets = np.array([[1, 0]] * 20 + [[0, 1]] * 20 + [[1, 1]] * 20)
    model.fit(texts, targets, seed=0, hyperparameters=LIGHT["hyperparameters"])
    in_use(store, model, name, multiple=multiple)
    return model


def in_use(store, model, name, **known):
    """Store a model as the version in use."""
    weights, config = model.state()
    known |= {"model": model.name, "labels": tuple(model.labels), "config": config, "control": "label"}
    store.write_version(manifest(1, name).model_copy(update=known), weights)
    store.set_current(Current(name, None))
