"""``python -m ml_backend``: the command ``lsal``."""

from ml_backend.cli.app import main

if __name__ == "__main__":
    main()
