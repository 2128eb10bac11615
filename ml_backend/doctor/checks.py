"""The registry of the doctor's checks, one function each, in the order in which they are reported.

Every fact of Label Studio that the order depends on has a check: the sampling, the served version, its predictions, the
webhook, and the network in both directions. Fixing never destroys anything that the store cannot restore.
"""

from __future__ import annotations

from typing import Final

from ml_backend.doctor import installation
from ml_backend.doctor.access import evaluation_tasks, label_studio, labeling_config, overlap, project, token
from ml_backend.doctor.connection import backend, backend_auth, backend_state
from ml_backend.doctor.diagnosis import Check
from ml_backend.doctor.hooks import (
    connections,
    mend_connections,
    mend_webhook,
    mend_webhook_secret,
    webhook,
    webhook_secret,
)
from ml_backend.doctor.pool import pool
from ml_backend.doctor.predictions import predictions
from ml_backend.doctor.serving import (
    coverage,
    empty_versions,
    left_overs,
    locks,
    mend_left_overs,
    mend_sampling,
    mend_served_version,
    mend_tab,
    order,
    sampling,
    scores,
    served_version,
    tab,
)
from ml_backend.doctor.sharing import redis, shared_store
from ml_backend.doctor.stored import disk, guessing, last_round, store, stored_files

CHECKS: Final = (
    Check("Label Studio", label_studio),
    Check("Token", token, ("Label Studio",)),
    Check("Project", project, ("Token",)),
    Check("Labeling config", labeling_config, ("Project",)),
    Check("Annotations per task", overlap, ("Project",)),
    Check("Evaluation tasks", evaluation_tasks, ("Project",)),
    Check("Installation: port", installation.port),
    Check("Installation: names", installation.names),
    Check("Installation: Redis", installation.redis_password),
    Check("Installation: files", installation.files, (), installation.mend_files),
    Check("Installation: images", installation.images),
    Check("Disk space", disk),
    Check("Redis", redis),
    Check("Shared store", shared_store),
    Check("Store", store, ("Project",)),
    Check("Stored files", stored_files, ("Store",)),
    Check("Last round", last_round, ("Stored files",)),
    Check("Guessing", guessing, ("Stored files",)),
    Check("Pool", pool, ("Stored files",)),
    Check("Other models' predictions", predictions, ("Labeling config",)),
    Check("Sampling", sampling, ("Project",), mend_sampling),
    Check("Served version", served_version, ("Stored files",), mend_served_version),
    Check("Versions without predictions", empty_versions, ("Project",)),
    Check("Scores", scores, ("Served version",)),
    Check("Coverage", coverage, ("Served version",)),
    Check("Left-over versions", left_overs, ("Stored files",), mend_left_overs),
    Check("Data Manager tab", tab, ("Labeling config",), mend_tab),
    Check("Backend", backend, ("Project",)),
    Check("Backend's password", backend_auth, ("Backend",)),
    Check("Installation: own server", installation.own_server, ("Project",)),
    Check("Label Studio to backend", backend_state, ("Project", "Backend")),
    Check("Webhook's secret", webhook_secret, ("Project",), mend_webhook_secret),
    Check("Webhook", webhook, ("Project",), mend_webhook),
    Check("Connected once", connections, ("Backend",), mend_connections),
    Check("Task locks", locks, ("Project",)),
    Check("Order", order, ("Labeling config", "Sampling", "Served version")),
)
"""All checks, in the order in which they run."""
