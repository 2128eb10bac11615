"""``lsal doctor``, from a checkout."""

from ml_backend.cli.doctor import app

if __name__ == "__main__":
    app()
