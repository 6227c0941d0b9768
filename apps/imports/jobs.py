"""The background jobs of imports."""

from apps.core.jobs import enqueue, job
from apps.imports import services, working


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
    return services.purge()
