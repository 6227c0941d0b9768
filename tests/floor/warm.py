"""Docket's application with every address and view loaded: for a server that forks its processes from one that has done this."""

from django.urls import get_resolver

from project.wsgi import application

__all__ = ["application"]

get_resolver().url_patterns  # noqa: B018  (reading it imports them all)
