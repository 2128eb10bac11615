"""Where the ``example.py`` of models that were exported before 0.2 looks for `load_exported`."""

from ml_backend.store.versions import load_exported

__all__ = ["load_exported"]
