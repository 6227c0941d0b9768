"""The floor's pages in the admin."""

from apps.scanning.admin import devices, inbox, printing

__all__ = ["devices", "inbox", "printing"]
