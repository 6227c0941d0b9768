"""What a client sends for one scan, read strictly. Pure: no query.

An item is kept as it came (`storable`) before it is read, so that one that nobody understands is not lost either.
"""

import math
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.core.parsers import DEEPEST
from apps.core.shapes import LARGEST_NUMBER
from apps.workorders.models import MOST, ReasonCode

VERBS = ("claim", "release", "start", "pause", "resume", "report", "complete", "undo")
COUNTING = ("report", "complete")  # the verbs that carry pieces
LONGEST_CODE = 300
_CANONICAL = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CALENDAR = range(1900, 2200)  # a handheld that lost its clock says 1970; beyond these it says nothing


@dataclass(frozen=True)
class Item:
    """One scan as its client means it. `good` is None where no quantity was given; `counter` is (start, end) of the press."""

    client_event_id: uuid.UUID
    code: str
    verb: str = ""
    good: int | None = None
    scrap: int = 0
    reason: str = ""
    reason_code: str = ""
    badge: str = ""
    captured_at: datetime | None = None
    device_time: datetime | None = None
    lane: str = ""
    seq: int | None = None
    counter: tuple[int, int] | None = None

    @property
    def pieces(self) -> bool:
        """Whether it counts anything."""
        return bool(self.good or self.scrap or self.counter)


def storable(value: Any, depth: int = 0) -> Any:
    """The JSON value as both databases can keep it: without NUL, half characters, infinity and endless nesting."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if depth > DEEPEST and isinstance(value, dict | list):
        return "…"
    if isinstance(value, dict):
        return {storable(name): storable(below, depth + 1) for name, below in value.items()}
    if isinstance(value, list):
        return [storable(below, depth + 1) for below in value]
    return value


def event_id_of(raw: Any) -> uuid.UUID | None:
    """The item's own key, if it has a usable one."""
    text = raw.get("client_event_id") if isinstance(raw, dict) else None
    return uuid.UUID(text) if isinstance(text, str) and _CANONICAL.fullmatch(text) else None


def lane_of(raw: Any) -> tuple[str, int]:
    """The item's lane and its place there, as far as they can be read: an item that is wrong elsewhere still has its turn."""
    if not isinstance(raw, dict):
        return "", 0
    lane, seq = raw.get("lane"), raw.get("seq")
    ordered = isinstance(seq, int) and not isinstance(seq, bool) and abs(seq) <= LARGEST_NUMBER
    return (lane if isinstance(lane, str) and len(lane) <= 64 else "", seq if ordered else 0)


def read_item(raw: Any) -> Item:
    """The item that `raw` means. Raises InvalidInput that names every field that is wrong."""
    if not isinstance(raw, dict):
        raise InvalidInput(_("A scan is a JSON object: members in braces."))
    unknown = [name for name in raw if name not in _READERS]
    problems = [
        InvalidInput(
            _("There is no field of this name here. Known fields: %(known)s.") % {"known": ", ".join(_READERS)},
            field=_UNSTORABLE.sub("\ufffd", str(name))[:60],
            code="unknown_field",
        )
        for name in unknown[:10]
    ]
    values: dict[str, Any] = {}
    for name, read in _READERS.items():
        try:
            values[name] = read(name, raw.get(name))
        except InvalidInput as problem:
            problems.append(problem)
    if problems:
        raise InvalidInput(problems=problems)
    values["good"] = values.pop("quantity")
    return Item(**values)


def _wrong(name: str, sentence: str, code: str = "invalid") -> InvalidInput:
    return InvalidInput(sentence, field=name, code=code)


def _event_id(name: str, value: Any) -> uuid.UUID:
    found = event_id_of({"client_event_id": value})
    if found is None:
        raise _wrong(name, _("client_event_id is the scan's own key: a UUID, like 0b9f3c52-7d3e-4c5a-9a57-0d2f6c1e8b44."))
    return found


def _text(longest: int, *, required: bool = False) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        if value is None and not required:
            return ""
        if not isinstance(value, str) or _UNSTORABLE.search(value):
            raise _wrong(name, _("%(field)s is a text.") % {"field": name})
        if len(value) > longest:
            raise _wrong(name, _("%(field)s is longer than %(most)s characters.") % {"field": name, "most": longest}, "max_length")
        if required and not value.strip():
            raise _wrong(name, _("%(field)s is missing: send what the scanner read.") % {"field": name}, "required")
        return value.strip()

    return read


def _verb(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or value not in VERBS:
        raise _wrong(name, _("There is no such verb. Use one of: %(verbs)s.") % {"verbs": ", ".join(VERBS)}, "invalid_choice")
    return value


def _reason_code(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or value not in ReasonCode.values:
        codes = ", ".join(ReasonCode.values)
        raise _wrong(name, _("There is no such reason. Use one of: %(codes)s.") % {"codes": codes}, "invalid_choice")
    return value


def _label(name: str) -> str:
    """What people call a number of theirs; the machine's name of what only machines send."""
    named = {"quantity": _("Good"), "scrap": _("Scrap"), "counter.start": _("Reading at start"), "counter.end": _("Reading at end")}
    return named.get(name, name)


def _whole(least: int, most: int) -> Callable[[str, Any], int | None]:
    def read(name: str, value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, str) and len(value) <= 20 and value.strip().isdecimal():
            value = int(value.strip())
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            said = {
                "field": _label(name),
                "least": number_format(least, force_grouping=True),
                "most": number_format(most, force_grouping=True),
            }
            raise _wrong(name, _("%(field)s: enter a whole number from %(least)s to %(most)s.") % said, "bad_number")
        return value

    return read


def _scrap(name: str, value: Any) -> int:
    return _whole(0, MOST)(name, value) or 0


def moment_of(name: str, value: Any) -> datetime | None:
    """A time with its zone, in UTC. Raises InvalidInput."""
    if value is None:
        return None
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
        if found is None or found.tzinfo is None or found.year not in _CALENDAR:
            raise ValueError(value)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        sentence = _("%(field)s is no time with its zone. Write it as 2026-11-21T06:30:00+08:00.") % {"field": name}
        raise _wrong(name, sentence, code="bad_time") from None


def _counter(name: str, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"start", "end"}:
        raise _wrong(name, _("counter is what the press counted: start and end, both whole numbers."))
    read = _whole(0, LARGEST_NUMBER)
    start, end = read(f"{name}.start", value["start"]), read(f"{name}.end", value["end"])
    if start is None or end is None:
        raise _wrong(name, _("counter is what the press counted: start and end, both whole numbers."))
    return start, end


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "client_event_id": _event_id,
    "code": _text(LONGEST_CODE, required=True),
    "verb": _verb,
    "quantity": _whole(0, MOST),
    "scrap": _scrap,
    "reason": _text(1000),
    "reason_code": _reason_code,
    "badge": _text(40),
    "captured_at": moment_of,
    "device_time": moment_of,
    "lane": _text(64),
    "seq": _whole(-LARGEST_NUMBER, LARGEST_NUMBER),
    "counter": _counter,
}
FIELDS = tuple(_READERS)
