"""Daft, which reads pools and computes over them: in this process, or on a Ray cluster where `use` names one.

Daft tells its makers when it is imported and run; that is switched off. So are its own log lines: what goes wrong is
raised, and told once, and its lines may quote a row.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from ml_backend import extras, hardware
from ml_backend.errors import ActiveLearningError, ConfigurationError, DataError

TRIES: Final = 4
"""Of one request to a bucket."""
CONNECT_MILLISECONDS: Final = 10_000
READ_MILLISECONDS: Final = 60_000
TOLD: Final = 200
"""Characters of a foreign error that are repeated."""
LOGGERS: Final = ("daft", "daft_local_execution", "daft_io", "daft_parquet", "daft_csv", "daft_json", "aws_config")
SECRETS: Final = re.compile(r"(?i)(key|secret|token|signature|credential|password|sig)([^\s=:]*\s*[=:]\s*)[^\s&,;)}]+")
REFUSED: Final = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "ExpiredToken", "Unauthorized", "Forbidden"),
    *("Unable to load credentials", "403", "401"),
)
"""What a bucket says of credentials that it does not take, or that there are none."""
UNREACHED: Final = ("SocketError", "ConnectTimeout", "ReadTimeout", "ByteStreamError", "DaftTransientError")
"""Names of Daft's errors about a place that does not answer."""

UNREADABLE: Final = {
    r"record with (\d+) fields, but the previous record has (\d+)": (
        r"a row of a CSV file has \1 columns, and those before it \2",
        "Put a value that holds a comma in quotes, or take the row out.",
    ),
    r"invalid utf-8": ("a CSV file is not UTF-8", "Save it as UTF-8."),
    r'Column name "([^"]*)" is ambiguous': (r"it has two columns '\1'", "Rename one."),
    r"JSON deserialization error": (
        "a line of a JSON Lines file is empty, damaged, or still being written",
        "Take the line out, or wait until the file is whole.",
    ),
    r"gzip header|unexpected end of file|deflate": (
        "a compressed file is damaged, or is still being written",
        "Take it away, or wait until it is whole.",
    ),
    r"error parsing glob": ("the pattern has a bracket that is not closed", "Close it."),
    r"os error 40\b": ("a link in it leads in a circle", "Take the link away."),
    r"comparison on types": (
        "a column is of one type in one file, and of another in others",
        "Save all with the same.",
    ),
    r"CorruptFile|not a valid parquet": (
        "a file is damaged, or is still being written",
        "Take it away, or wait until it is whole.",
    ),
}
"""What Daft says of a file that it cannot read → what is wrong, and what to do."""
LOST: Final = (
    *("ObjectLostError", "Failed to retrieve object", "OwnerDiedError", "WorkerCrashedError", "NodeDiedError"),
    *("ActorDiedError", "ActorUnavailableError", "The actor died", "The worker died"),
)
"""What Ray says where a worker, or a whole machine, has gone and its results with it."""


class WorkerLost(DataError):
    """A worker of the Ray cluster was lost together with what it had computed, and Ray could not make it again."""


class FileDamaged(DataError):
    """A file of a pool is there, and cannot be read."""


class _Chosen:
    """Of this process: the Ray cluster; None: none, the work is done here."""

    ray: str | None = None


def use(ray_address: str | None) -> None:
    """From now on, in the whole process, compute on this Ray cluster; None: in this process."""
    _Chosen.ray = ray_address or None


def on_ray() -> bool:
    """Whether the work goes to a Ray cluster."""
    return _Chosen.ray is not None


def cores() -> int:
    """How many cores the work may use: of the cluster, or of this process."""
    if not on_ray():
        return hardware.cores()
    engine()
    ray: Any = extras.require("RAY_ADDRESS", "ray")
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@lru_cache(maxsize=1)
def engine() -> Any:
    """The module ``daft``, ready.

    Raises:
        ConfigurationError: it is not installed, or the Ray cluster cannot be reached.
    """
    os.environ["DAFT_ANALYTICS_ENABLED"] = "0"
    os.environ["DAFT_PROGRESS_BAR"] = "0"
    daft = extras.require("A pool", "pyarrow", "daft")
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if _Chosen.ray is not None:
        ray = extras.require("RAY_ADDRESS", "ray")
        try:
            if not ray.is_initialized():  # the workers' own lines, progress bars among them, stay with the workers
                ray.init(address=_Chosen.ray, log_to_driver=False, logging_level=logging.ERROR)
            daft.set_runner_ray(address=_Chosen.ray)
        except Exception as exc:
            raise ConfigurationError(
                f"The Ray cluster at {_Chosen.ray} cannot be used ({type(exc).__name__}): start it, correct "
                "RAY_ADDRESS, or unset it to compute on this machine."
            ) from exc
    else:
        daft.set_runner_native()
    return daft


def s3_endpoint() -> str | None:
    """Where S3 is asked, if not at Amazon's."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def io_config(url: str) -> Any:
    """How a bucket is asked: credentials and endpoint are the environment's (``AWS_ACCESS_KEY_ID`` and so on).

    None for a disk: Daft would look for credentials all the same, which takes seconds.
    """
    if "://" not in url:
        return None
    from daft.io import IOConfig, S3Config

    s3 = S3Config(
        endpoint_url=s3_endpoint(),  # though Daft would find it: its connections are kept by what stands here
        num_tries=TRIES,
        retry_initial_backoff_ms=200,
        connect_timeout_ms=CONNECT_MILLISECONDS,
        read_timeout_ms=READ_MILLISECONDS,
    )
    return IOConfig(s3=s3)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn Daft's errors into ours.

    Args:
        what: what is read, without secrets: begins the sentence.

    Raises:
        DataError: it cannot be read; why, without what looks like a secret. FileDamaged: since a file of it is
            damaged. WorkerLost: on a Ray cluster.
    """
    try:
        yield
    except (ActiveLearningError, GeneratorExit, KeyboardInterrupt):
        raise
    except Exception as exc:  # its text may hold what a secret is in: nothing of it is chained
        if on_ray() and any(sign in f"{type(exc).__name__} {exc}" for sign in LOST):
            raise WorkerLost(
                f"A machine of the Ray cluster at {_Chosen.ray} was lost while {what} was read. What is done is kept: "
                "see to the cluster, and try again."
            ) from None
        kind = FileDamaged if any(re.search(sign, str(exc)) for sign in UNREADABLE) else DataError
        raise kind(f"{what} cannot be read: {_reason(exc)}") from None


def _reason(exc: Exception) -> str:
    text, names = str(exc), {kind.__name__ for kind in type(exc).__mro__}
    if any(sign in text for sign in REFUSED):
        return (
            "the credentials are wrong, or do not reach this far. Set those of the bucket in the environment "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL where it is not Amazon's)."
        )
    if names & set(UNREACHED):
        return "nobody answers there. Check the address, the network, and AWS_ENDPOINT_URL."
    for sign, (wrong, step) in UNREADABLE.items():
        if found := re.search(sign, text):
            return f"{found.expand(wrong)}{_place(text)}. {step}"
    if isinstance(exc, FileNotFoundError) or "NotFound" in text or "not found" in text:
        return f"a file is not there ({without_secrets(text)})."
    return f"{without_secrets(text) or type(exc).__name__}"


def _place(text: str) -> str:
    """The file that an error names, or the line, in brackets; empty where it names none."""
    if line := re.search(r"\bline:? (\d+)", text):
        return f" (line {line.group(1)})"
    file = re.search(r"\S*/\S+\.\w+", text)
    return f" ({without_secrets(file.group())})" if file else ""


def without_secrets(text: str) -> str:
    """The beginning of a text, in one line, without what looks like a key, a password or a signed address."""
    plain = re.sub(r"://[^/\s@]+@", "://", " ".join(text.split()))
    return SECRETS.sub(r"\1\2…", re.sub(r"\?\S+", "", plain))[:TOLD]
