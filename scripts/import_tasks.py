"""``lsal import``, from a checkout."""

from ml_backend.cli.import_tasks import app

if __name__ == "__main__":
    app()
