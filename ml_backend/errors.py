"""Every error that the product raises on purpose.

::

    ActiveLearningError
    ├── ConfigurationError        a setting is missing or wrong
    │   └── PluginError               an installed plug-in cannot be used
    ├── LabelConfigError          the project's labeling config is not one that we support
    ├── BadItemError              one task's image or text cannot be read; the task is left out and reported
    ├── DataError                 an import file or a data set is missing or malformed
    ├── ModelError                a model cannot be trained, loaded or asked for what it was asked
    ├── AcquisitionError          probabilities or strategy settings that cannot be scored
    ├── StoreError                a stored version or queue is missing or damaged
    │   └── ProjectBusy               another process holds the project's lock; nothing is wrong with either
    ├── RequestMalformed          a request's body is none that the backend can read
    ├── RequestTooLarge           a request has more than the backend takes
    ├── RoundProcessDied          the process that runs rounds ended in the middle of one
    │   └── RoundCancelled            because somebody cancelled it
    └── LabelStudioError          Label Studio did not do what it was asked
        ├── LabelStudioUnreachable    no answer: wrong URL, server down, time-out
        ├── LabelStudioUnauthorized   the token is wrong, expired or of a disabled kind
        ├── LabelStudioNotFound       no such project, task or backend
        └── LabelStudioRejected       Label Studio refused the request, or took only a part of it
            ├── LabelStudioConflict       it has already what may be there once
            └── LabelStudioUnanswerable   it fails on what was asked for, or that is more than is read

A message says what failed, where, and what to do next. It never contains a token.
"""

from __future__ import annotations

from typing import Final

BUSY: Final = "Another process is working on this project"
"""How the message of a `ProjectBusy` begins."""
DOCUMENT_BUSY: Final = "Another process is changing this document of the project"


class ActiveLearningError(Exception):
    """Base of all errors below."""


class ConfigurationError(ActiveLearningError):
    """A setting is missing or wrong."""


class PluginError(ConfigurationError):
    """An installed plug-in cannot be used."""


class LabelConfigError(ActiveLearningError):
    """The project's labeling config is not one that we support."""


class ChoicesToCome(LabelConfigError):
    """The choices of the project's question come with its tasks, of which there are none yet."""


class BadItemError(ActiveLearningError):
    """One task's image or text cannot be read."""


class DataError(ActiveLearningError):
    """An import file or a data set is missing or malformed."""


class ModelError(ActiveLearningError):
    """A model cannot be trained, loaded or asked for what it was asked."""


class AcquisitionError(ActiveLearningError):
    """Probabilities or strategy settings that cannot be scored."""


class StoreError(ActiveLearningError):
    """A stored version or queue is missing or damaged."""


class ProjectBusy(StoreError):
    """Another process holds the project's lock: a round, or a change by hand. It has not failed, nor has anything here.

    Its message begins with `BUSY`, by which it is known where only the message arrives (RQ, `rounds.jsonl`).
    """


class RequestMalformed(ActiveLearningError):
    """A request's body is none that the backend can read."""


class RequestTooLarge(ActiveLearningError):
    """A request has more than the backend takes."""


class RoundProcessDied(ActiveLearningError):
    """The process that runs rounds ended in the middle of one."""


class RoundCancelled(RoundProcessDied):
    """Somebody cancelled the round."""


class LabelStudioError(ActiveLearningError):
    """Label Studio did not do what it was asked."""


class LabelStudioUnreachable(LabelStudioError):
    """No answer from Label Studio."""


class LabelStudioUnauthorized(LabelStudioError):
    """The token was not accepted."""


class LabelStudioNotFound(LabelStudioError):
    """The project, task or backend does not exist, or this account cannot see it."""


class LabelStudioRejected(LabelStudioError):
    """Label Studio refused the request, or took only a part of it."""


class LabelStudioConflict(LabelStudioRejected):
    """Label Studio has already what may be there once."""


class LabelStudioUnanswerable(LabelStudioRejected):
    """Label Studio fails on what was asked for, or that is more than is read: less of it may be answered."""
