"""The paper of the floor: job tickets, labels and badges as PDF, and what changed since a ticket was printed."""

from apps.scanning.printing.changes import what_changed
from apps.scanning.printing.labels import badges_pdf, labels_pdf
from apps.scanning.printing.tickets import ticket_pdf

__all__ = ["badges_pdf", "labels_pdf", "ticket_pdf", "what_changed"]
