"""The background jobs of imports."""

from apps.core.jobs import job
from apps.imports import services


@job("imports.purge")
def purge() -> int:
    """Throw away plans that nobody applied, and files that were kept long enough."""
    return services.purge()
