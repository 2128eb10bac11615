"""What all commands share: the options for Label Studio, the token, the console, and how errors are told.

A command's module has its options. What does the work is imported by the function that does it, so that ``--help``
need not wait for it.
"""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from getpass import getpass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from ml_backend.errors import ActiveLearningError, ConfigurationError

if TYPE_CHECKING:
    from rich.progress import Progress

    from ml_backend.config import Settings
    from ml_backend.label_studio.client import LabelStudioClient

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C: 128 + SIGINT."""
TOKEN_PLACE: Final = "Take a token in Label Studio under Account & Settings > Personal Access Token"  # noqa: S105

console = Console()
"""Results, on standard output."""
messages = Console(stderr=True)
"""Everything else, on standard error."""
resources = ExitStack()
"""What is closed when the command ends."""

UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Label Studio's URL. [default: LABEL_STUDIO_URL, else http://127.0.0.1:8080]"),
]
ProjectOption = Annotated[int, typer.Option("--project", "-p", min=1, help="Id of the project: the number in its URL.")]
VERBOSE: Final = inspect.Parameter(
    "verbose",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool,
        typer.Option("--verbose", envvar="ACTIVE_LEARNING_VERBOSE", help="Show the traceback of an error as well."),
    ],
)


def new_app() -> typer.Typer:
    """A command line without completion; its tracebacks show no local variables, one of which may be a token."""
    return typer.Typer(add_completion=False, pretty_exceptions_show_locals=False, rich_markup_mode="markdown")


def tell_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn our errors into one red line and exit code 1, and Ctrl-C into a plain line and exit code 130.

    Adds the option ``--verbose``, which shows the traceback too. Errors that nobody foresaw pass through.
    """

    @functools.wraps(command)
    def wrapped(*args: Any, verbose: bool = False, **kwargs: Any) -> None:
        try:
            with resources:
                command(*args, **kwargs)
        except ActiveLearningError as exc:
            if verbose:
                traceback.print_exception(exc)
            fail(str(exc))
            raise typer.Exit(1) from exc
        except (KeyboardInterrupt, typer.Abort) as exc:
            messages.print("\nInterrupted.")
            raise typer.Exit(INTERRUPTED) from exc

    signature = inspect.signature(command, eval_str=True)
    signature = signature.replace(parameters=[*signature.parameters.values(), VERBOSE])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: value.annotation for name, value in signature.parameters.items()}
    return wrapped


def fail(message: str) -> None:
    """Print an error, as it is: no markup, no wrapping."""
    messages.print(Text(f"Error: {message}", style="red"), soft_wrap=True, highlight=False)


def warn(message: str) -> None:
    """Print a warning, as it is: no markup, no wrapping."""
    messages.print(Text(message, style="yellow"), soft_wrap=True, highlight=False)


def connect(url: str | None = None) -> tuple[Settings, LabelStudioClient]:
    """Settings from the environment and a client of Label Studio.

    The token comes from LABEL_STUDIO_API_KEY, or from a hidden prompt where a person sits at a terminal. There is no
    option for it: other users of the machine can read command lines.

    Raises:
        ConfigurationError: a setting is invalid, or there is no token.
        LabelStudioUnauthorized: the token is an expired one.
    """
    from ml_backend.config import load_settings
    from ml_backend.label_studio.connection import new_client

    settings = load_settings(label_studio_url=url)
    key = settings.label_studio_api_key
    token = key.get_secret_value() if key else _ask_token(settings.label_studio_url)
    client = new_client(settings, key=token)
    resources.callback(client.close)
    return settings, client


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask_token(url: str) -> str:
    if not _at_terminal():
        raise ConfigurationError(f"LABEL_STUDIO_API_KEY is not set. {TOKEN_PLACE}, and export it under that name.")
    messages.print(f"{TOKEN_PLACE} (or set LABEL_STUDIO_API_KEY).", highlight=False)
    token = ""
    while not token:
        try:
            # Not typer's prompt: it shows its text before the terminal stops showing what is typed.
            token = getpass(f"Access token for {url}: ").strip()
        except EOFError as exc:
            raise typer.Abort from exc
    return token


def progress_bar() -> Progress:
    """A bar on standard error that goes away when it is done; nothing where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal)
