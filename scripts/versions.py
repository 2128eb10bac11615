"""``lsal versions``, from a checkout."""

from ml_backend.cli.versions import app

if __name__ == "__main__":
    app()
