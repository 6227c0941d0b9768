"""What a notice can say. Parameters carry numbers and reasons only: the link asks for the right to see more."""

from django.utils.translation import gettext_lazy as _

KINDS = {
    "order_submitted": _("Order %(number)s waits for your approval."),
    "order_approved": _("Order %(number)s was approved."),
    "order_rejected": _("Order %(number)s was rejected: %(reason)s"),
    "order_held": _("Order %(number)s is on hold: %(reason)s"),
    "order_resumed": _("Order %(number)s goes on."),
    "order_cancelled": _("Order %(number)s was cancelled: %(reason)s"),
    "order_completed": _("Order %(number)s is completed."),
    "order_reopened": _("Order %(number)s was opened again: %(reason)s"),
    "task_assigned": _("Task %(number)s of order %(order)s is yours."),
    "task_taken_away": _("Task %(number)s of order %(order)s is no longer yours: %(reason)s"),
    "task_undispatched": _("Task %(number)s of order %(order)s has no department. Add a rule or assign it."),
    "task_overrun": _("Task %(number)s of order %(order)s is %(percent)s %% over plan."),
    "scan_held": _("A late scan on task %(number)s of order %(order)s waits for your decision."),
    "import_planned": _("Import %(run)s is planned: %(rows)s rows. Look at the plan and apply it."),
    "backup_failed": _("Backup %(name)s failed: %(reason)s"),
    "backup_missing": _("No backup was proved since %(since)s. See the page of backups, and whether the worker runs."),
    "job_given_up": _("Background job %(job)s is given up: %(reason)s"),
    "export_ready": _("Export %(run)s is ready: %(rows)s rows. The file is kept for %(days)s days."),
    "export_failed": _("Export %(run)s was not made: %(reason)s"),
    "import_applied": _("Import %(run)s is applied. Rows imported: %(rows)s."),
    "import_partly": _("Import %(run)s is applied in part. Rows imported: %(rows)s, left: %(left)s."),
    "import_nothing": _("Nothing of import %(run)s was imported. Rows left: %(left)s; its page says why."),
    "import_reverted": _("Import %(run)s is taken back."),
    "import_kept": _("Import %(run)s is taken back as far as it can be: %(kept)s stay, and its page says why."),
}
