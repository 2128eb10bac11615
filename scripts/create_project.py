"""``lsal create-project``, from a checkout."""

from ml_backend.cli.create_project import app

if __name__ == "__main__":
    app()
