"""Order numbers: a locked series for each prefix, unique under parallel creation."""

from datetime import date

from django.conf import settings
from django.db.models import F

from apps.workorders.models import NumberSeries, WorkOrder


def take_number(on: date) -> str:
    return take_numbers(on, 1)[0]


def take_numbers(on: date, count: int) -> list[str]:
    """The next `count` numbers of the series that `on` belongs to. Locks the series until the transaction ends. Four queries.

    The form is settings.DOCKET_NUMBER_FORMAT with {year}, {month}, {day} and {serial}; whatever is before the serial is the series.
    """
    form = settings.DOCKET_NUMBER_FORMAT
    parts = {"year": on.year, "month": on.month, "day": on.day}
    prefix = form[: form.index("{serial")].format(**parts)
    NumberSeries.objects.get_or_create(prefix=prefix)
    numbers: list[str] = []
    while missing := count - len(numbers):
        NumberSeries.objects.filter(prefix=prefix).update(last=F("last") + missing)
        last = NumberSeries.objects.get(prefix=prefix).last
        block = [form.format(**parts, serial=serial) for serial in range(last - missing + 1, last + 1)]
        # A number that was typed in, or made under another format, is passed over.
        taken = set(WorkOrder.objects.filter(number__in=block).values_list("number", flat=True))
        numbers += [number for number in block if number not in taken]
    return numbers
