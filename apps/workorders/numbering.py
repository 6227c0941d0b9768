"""Order numbers: a locked series for each prefix, unique under parallel creation."""

from datetime import date

from django.conf import settings
from django.db.models import F

from apps.workorders.models import NumberSeries, WorkOrder


def take_number(on: date) -> str:
    """The next number of the series that `on` belongs to. Locks the series until the transaction ends.

    The form is settings.DOCKET_NUMBER_FORMAT with {year}, {month}, {day} and {serial}; whatever is before the serial is the series.
    """
    form = settings.DOCKET_NUMBER_FORMAT
    parts = {"year": on.year, "month": on.month, "day": on.day}
    prefix = form[: form.index("{serial")].format(**parts)
    NumberSeries.objects.get_or_create(prefix=prefix)
    while True:
        NumberSeries.objects.filter(prefix=prefix).update(last=F("last") + 1)
        number = form.format(**parts, serial=NumberSeries.objects.get(prefix=prefix).last)
        # A number that was typed in, or made under another format, is passed over.
        if not WorkOrder.objects.filter(number=number).exists():
            return number
