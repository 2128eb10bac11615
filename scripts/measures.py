"""``lsal measures``, from a checkout."""

from ml_backend.cli.measures import app

if __name__ == "__main__":
    app()
