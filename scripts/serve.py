"""``lsal serve``, from a checkout."""

from ml_backend.cli.serve import app

if __name__ == "__main__":
    app()
