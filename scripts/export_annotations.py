"""``lsal export``, from a checkout."""

from ml_backend.cli.export_annotations import app

if __name__ == "__main__":
    app()
