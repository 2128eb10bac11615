"""Protects the dashboard in addition to basic auth, which browsers send along with requests from any page.

- A change needs a request that only our own pages can send: JSON, from this origin. Forms on foreign pages cannot send
  JSON, and their scripts cannot without asking first (CORS), which nothing here allows.
- The browser runs only our scripts and fetches nothing from elsewhere (Content-Security-Policy): a tag that slipped
  through as HTML would still do nothing, and nothing leaves a closed network.
- No foreign page may frame these (clickjacking): `web.headers` says so in every answer.
- Requests for a foreign host name do not get here (`web.hosts`), so a request's host is always one of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

SAFE: Final = ("GET", "HEAD", "OPTIONS")
OWN: Final = ("same-origin", "none")
"""Values of ``Sec-Fetch-Site`` for our own pages, and for an address that a person typed."""


def guard(server: Flask, prefix: str) -> None:
    """Refuse foreign changes below ``prefix``, and send the policy for the browser.

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
    """Let the browser run the pages' inline scripts, given by ``hashes`` as in a Content-Security-Policy."""
    allowed = policy(hashes)

    @site.after_request
    def tell(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = allowed
        return response


def policy(script_hashes: Sequence[str] = ()) -> str:
    """The Content-Security-Policy: our own scripts and these inline ones, nothing from elsewhere."""
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
    """Let the current request pass only if one of our own pages can have sent it.

    Raises:
        UnsupportedMediaType: it is not JSON.
        Forbidden: a page of another origin sent it.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("The dashboard takes changes as application/json only.")
    # Browsers send the first only to https and localhost, and the second with every POST.
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # If a proxy asks us under another name than the browser used: set TRUSTED_PROXY, or have it keep Host.
    if (site is not None and site not in OWN) or (origin is not None and urlsplit(origin).netloc != request.host):
        raise Forbidden("Another site asked for this change; open the dashboard itself.")
