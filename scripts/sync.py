"""``lsal sync``, from a checkout."""

from ml_backend.cli.sync import app

if __name__ == "__main__":
    app()
