"""The colours of states, wherever they are shown."""

from apps.core.models import JobState
from apps.ops.models import BackupState

BACKUPS = {
    BackupState.RUNNING: "info",
    BackupState.MADE: "warning",
    BackupState.PROVED: "success",
    BackupState.FAILED: "danger",
    BackupState.REMOVED: "default",
}
JOBS = {
    JobState.RUNNING: "info",
    JobState.DONE: "success",
    JobState.FAILED: "warning",
    JobState.DEAD: "danger",
    JobState.RETRIED: "default",
}
