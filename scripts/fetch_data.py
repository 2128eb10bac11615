"""``lsal fetch-data``, from a checkout."""

from ml_backend.cli.fetch_data import app

if __name__ == "__main__":
    app()
