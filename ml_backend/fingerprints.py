"""Whether something is still made of the same things."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def fingerprint(content: Any) -> str:
    """SHA-256 of JSON-like content, the same whatever the order of its mappings; other objects count as their text."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
