"""``lsal report``, from a checkout."""

from ml_backend.cli.report import app

if __name__ == "__main__":
    app()
