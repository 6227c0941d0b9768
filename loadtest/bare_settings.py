"""Docket's settings without what a request passes through: the database is the same."""

from project.settings import *  # noqa: F403

MIDDLEWARE: list[str] = []
ROOT_URLCONF = "loadtest.bare"
