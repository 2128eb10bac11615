"""The pages, in the order of the menu.

A new page is a module with a `Page` and one entry in `PAGES`; its data then appear under ``/dashboard/api``.
"""

from ml_backend.dashboard.pages import learning, map, mistakes, overview, queue, search, versions

PAGES = (overview.PAGE, learning.PAGE, map.PAGE, queue.PAGE, search.PAGE, mistakes.PAGE, versions.PAGE)
"""In the order of the menu; the first is a project's front page."""

__all__ = ["PAGES"]
