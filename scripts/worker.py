"""``lsal worker``, from a checkout."""

from ml_backend.cli.worker import app

if __name__ == "__main__":
    app()
