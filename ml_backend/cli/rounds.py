"""Rounds of a project that the backend runs: cancel them."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ml_backend.cli.common import ProjectOption, console, new_app, tell_errors
from ml_backend.errors import ActiveLearningError, ConfigurationError

TIMEOUT: Final = 30.0

app = new_app()


@app.callback(help=__doc__)
def main() -> None:
    """Only names the commands."""


@app.command()
@tell_errors
def cancel(
    project: ProjectOption,
    backend_url: Annotated[
        str | None, typer.Option("--backend-url", help="The ML backend. [default: HOST and PORT]")
    ] = None,
) -> None:
    """Cancel the rounds of a project, waiting or running: model and order stay as they are.

    The backend does it; its user name and password come from BASIC_AUTH_USER and BASIC_AUTH_PASS.
    """
    import httpx

    from ml_backend.config import load_settings
    from ml_backend.fetching.clients import ask

    settings = load_settings()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = (backend_url or f"http://{host}:{settings.port}").rstrip("/")
    secret = settings.basic_auth_pass
    auth = (settings.basic_auth_user, secret.get_secret_value()) if settings.basic_auth_user and secret else None
    try:
        path, body = f"{url}/rounds/cancel", {"project": project}
        answer = ask("POST", path, json=body, auth=auth, timeout=TIMEOUT, ca_file=settings.ca_file)
        told = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        raise ConfigurationError(
            f"No backend answers at {url} ({type(exc).__name__}): start it, or name it with --backend-url."
        ) from exc
    if answer.status_code != httpx.codes.OK:
        raise ActiveLearningError(f"The backend at {url} refused: {told.get('error', answer.status_code)}")
    found = "was cancelled; model and order are as they were" if told.get("cancelled") else "waits or is under way"
    console.print(f"Project {project}: {'the' if told.get('cancelled') else 'no'} round {found}.", soft_wrap=True)
