"""Fixtures of the dashboard's tests."""

from support.dashboards import own, root, services, web

__all__ = ["own", "root", "services", "web"]
