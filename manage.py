#!/usr/bin/env python
"""Docket's command line: `python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    from django.core.management import execute_from_command_line
    from django.db import Error

    try:
        execute_from_command_line(sys.argv)
    except Error as error:
        from apps.ops.doctor import unusable_database

        sentence = unusable_database()
        if not sentence or "--traceback" in sys.argv:
            raise
        raise SystemExit(sentence) from error


if __name__ == "__main__":
    main()
