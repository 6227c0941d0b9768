"""The background jobs of imports."""

from apps.core.jobs import enqueue, job
from apps.imports import exportable, exports, services, working


@job("imports.work")
def work(pk: int) -> None:
    """Plan, apply or take back a run, as its state says; what is left after a while is for the next job."""
    working.work(pk, seconds=working.JOB_SECONDS)


@job("imports.sweep")
def sweep() -> int:
    """Go on with runs whose job was lost or killed; says how many."""
    left = working.left_behind()
    for pk in left:
        enqueue("imports.work", pk)
    return len(left)


@job("imports.purge")
def purge() -> int:
    """Throw away plans that nobody applied, and files that were kept long enough."""
    return services.purge() + exports.purge()


@job("imports.export")
def export(pk: int) -> None:
    """Make the file of an export."""
    run = exports.claim(pk)
    if run is not None:
        exportable.work(run)


@job("imports.exports_due")
def exports_due() -> int:
    """Start the saved exports whose hour has come; says how many."""
    return exports.start_due()
