"""The documents of one project: JSON written by other modules, always replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, Final

from ml_backend.files import FILE_MODE
from ml_backend.label_studio.labeling_config import ChoiceQuestion, question_from
from ml_backend.store.documents import PARAMS, QUESTION
from ml_backend.store.folder import StoreFolder, StoreLock

ASKED: Final = ("control", "object", "object_tag", "field")
"""Fields of a `ChoiceQuestion` that are stored unchanged."""
EDIT_PATIENCE: Final = 10.0
"""Seconds to wait for somebody else's edit of a document."""


class StoredDocuments(StoreFolder):
    """JSON documents.

    Raises, from every method:
        StoreError: the folder cannot be written, or something in it is missing or damaged.
    """

    def document(self, name: str) -> dict[str, Any]:
        """A JSON document of another module; empty if it was never written."""
        return self._read_json(name) or {}

    def write_document(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace a document, all or nothing."""
        self._write_json(name, content)

    def share_now(self) -> None:
        """Share what the holder of the lock has written so far."""
        if self._sharing is not None:
            self._sharing.commit(self.folder)

    def edit_document(self, name: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
        """Change a document that is shared at once (`documents.Shared`), even while a round runs.

        Of two edits at the same time neither is lost.

        Args:
            name: the document.
            change: its content → its new content.
        """
        self._make_folder()
        others = self._sharing.editing(self.folder, name) if self._sharing else nullcontext()
        with StoreLock(str(self.folder / f"{name}.lock"), timeout=EDIT_PATIENCE, mode=FILE_MODE), others:
            before = self.document(name)
            content = dict(change(before))
            if content != before:
                text = json.dumps(content)
                if self._sharing is not None:  # first, since readers here may fetch the shared one any time
                    self._sharing.share_loose(self.folder, name, text)
                self._write_text(name, text)
            return content

    def note_question(self, question: ChoiceQuestion, title: str | None = None) -> None:
        """Note what the project asks, and its title if known: readers of the store never ask Label Studio."""
        known = self.document(QUESTION)
        asked = {name: value for name, value in asdict(question).items() if name != "descriptions"}
        found = json.loads(json.dumps({"title": title or known.get("title"), **asked}))
        if found != known:
            self.write_document(QUESTION, found)

    def note_shown(self, object_tag: str, field: str, title: str) -> None:
        """The same for a project from whose answers nothing is learnt: note what its page shows."""
        found = {"title": title, "object_tag": object_tag, "field": field, "learnt": False}
        if found != self.document(QUESTION):
            self.write_document(QUESTION, found)

    @property
    def learns_nothing(self) -> bool:
        """Whether nothing can be learnt from the labeling config that the last round found."""
        return self.document(QUESTION).get("learnt") is False

    def noted_question(self) -> ChoiceQuestion | None:
        """The noted question; None if none was noted, or only by a version up to 0.1."""
        known = {name: value for name, value in self.document(QUESTION).items() if name != "title"}
        try:
            return question_from(known)
        except (KeyError, TypeError):
            return None

    def extra_params(self) -> dict[str, Any]:
        """The JSON from the backend's settings in Label Studio."""
        return (self._read_json(PARAMS) or {}).get("extra_params") or {}

    def set_extra_params(self, params: Mapping[str, Any]) -> None:
        """Remember the project's extra params."""
        if self.extra_params() != params or not (self.folder / PARAMS).exists():
            text = json.dumps({"extra_params": dict(params)})
            if self._sharing is not None:
                self._sharing.share_loose(self.folder, PARAMS, text)
            self._write_text(PARAMS, text)
