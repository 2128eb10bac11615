"""What guards the dashboard beside basic auth, which a browser sends along with whatever any page asks of us.

- A change needs a request that only our own pages can send: JSON, from this origin. Forms of foreign pages cannot send
  JSON, and their scripts cannot send it without asking first (CORS), which nobody here allows.
- The browser runs no script but ours and fetches nothing from elsewhere (Content-Security-Policy): a tag that slipped
  through as HTML would still do nothing, and nothing leaves a closed network.
- No foreign page may frame these (clickjacking): `web.headers` says so with every answer.
- A request for a foreign name never comes here: `web.hosts`. So the name that it is for is one of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

SAFE: Final = ("GET", "HEAD", "OPTIONS")
OWN: Final = ("same-origin", "none")
"""Values of ``Sec-Fetch-Site`` for our pages, and for what a person typed into the address bar."""


def guard(server: Flask, prefix: str) -> None:
    """Refuse foreign changes below ``prefix``, and send the policy that binds the browser.

    Args:
        server: the application.
        prefix: where the pages are, with a slash at the end.
    """

    @server.before_request
    def refuse_foreign_changes() -> None:
        if request.path.startswith(prefix) and request.method not in SAFE:
            check_origin()

    @server.after_request
    def bind_the_browser(response: Response) -> Response:
        if request.path.startswith(prefix):
            response.headers.setdefault("Content-Security-Policy", policy())
        return response


def allow_scripts(site: Flask, hashes: Sequence[str]) -> None:
    """Let the browser run the inline scripts that the pages have; ``hashes`` as in a Content-Security-Policy."""
    allowed = policy(hashes)

    @site.after_request
    def tell(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = allowed
        return response


def policy(script_hashes: Sequence[str] = ()) -> str:
    """The Content-Security-Policy: own scripts and these inline ones, nothing from elsewhere."""
    # Plotly and React set style attributes; Plotly makes pictures from blobs and data URIs.
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *script_hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "font-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def check_origin() -> None:
    """Let the present request pass only if one of our own pages can have sent it.

    Raises:
        UnsupportedMediaType: no JSON. Forbidden: another origin's page sent it.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("The dashboard takes changes as application/json only.")
    # Browsers send the first to https and to localhost alone, and the second with every POST.
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # A proxy in front that asks us under another name than the browser asked it: TRUSTED_PROXY, or have it keep Host.
    if (site is not None and site not in OWN) or (origin is not None and urlsplit(origin).netloc != request.host):
        raise Forbidden("Another site asked for this change; open the dashboard itself.")
