"""``lsal simulate``, from a checkout."""

from ml_backend.cli.simulate import app

if __name__ == "__main__":
    app()
