"""The clocks of handhelds, in words."""

from datetime import timedelta

from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext

CLOCK_OFF = timedelta(minutes=2)
MOST_OFF = 100 * 365 * 86_400_000  # milliseconds; a clock that is off by more is off by a century, too


def is_clock_off(offset_ms: int) -> bool:
    """Whether a handheld's clock is too far from the server's to be believed."""
    return abs(offset_ms) > CLOCK_OFF / timedelta(milliseconds=1)


def clock_in_words(offset_ms: int | None) -> str:
    """How a handheld's clock goes against the server's: right, 3 minutes fast, 1 year slow."""
    if offset_ms is None:
        return "–"
    if not is_clock_off(offset_ms):
        return gettext("right")
    now = timezone.now()
    words = timesince(now - timedelta(milliseconds=min(abs(offset_ms), MOST_OFF)), now)
    return (gettext("%(time)s fast") if offset_ms > 0 else gettext("%(time)s slow")) % {"time": words}
