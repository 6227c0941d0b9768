"""The clocks of handhelds, in words."""

from datetime import timedelta

from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext

CLOCK_OFF = timedelta(minutes=2)
MOST_OFF = 100 * 365 * 86_400_000  # milliseconds; a clock that is off by more is off by a century, too


def clock_in_words(offset_ms: int | None) -> str:
    """How a handheld's clock goes against the server's: right, 3 minutes fast, 1 year slow."""
    if offset_ms is None:
        return "–"
    off = timedelta(milliseconds=min(abs(offset_ms), MOST_OFF))
    if off <= CLOCK_OFF:
        return gettext("right")
    now = timezone.now()
    words = timesince(now - off, now)
    return (gettext("%(time)s fast") if offset_ms > 0 else gettext("%(time)s slow")) % {"time": words}
