"""Values as offices write them, read into what Docket keeps. Pure: no queries, no settings.

Every function takes one cell (text, number, date, None) and answers with the value, or raises InvalidInput whose sentence
says what it got and what is expected. A blank cell is the caller's business: `is_blank` tells.
"""

import datetime as dt
import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from django.utils.translation import gettext as _
from django.utils.translation import override

from apps.core.errors import InvalidInput
from apps.core.units import WRITTEN, Unit

T = TypeVar("T")
SHOWN = 60  # characters of a wrong value that a sentence repeats
MULTIPLES = {"千": 1_000, "万": 10_000, "萬": 10_000, "亿": 100_000_000}
# What a spreadsheet may take for a formula; see core.export.
FORMULA_STARTS = "=+-@\t\r\n\0＝＋－＠"
_QUOTED_FORMULA = re.compile(rf"'+[{re.escape(FORMULA_STARTS)}]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_GROUPS = r"\d{1,3}(?:%s\d{3})+"
_EXCEL_EPOCH = dt.date(1899, 12, 30)
_FIRST, _LAST = dt.date(2000, 1, 1), dt.date(2099, 12, 31)


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def plain(value: Any) -> str:
    """The text with full-width forms made narrow, blanks folded and stripped. A float that is whole loses its `.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(unicodedata.normalize("NFKC", str(value)).split())


def shown(value: Any) -> str:
    """The value as a sentence repeats it: on one line, cut when long, a whole float without `.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = " ".join(_CONTROL.sub("\ufffd", str(value)).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def nearest(value: str, known: Iterable[str]) -> str:
    """The known word that `value` is most likely meant to be, or ""."""
    words = {word.casefold(): word for word in known}
    found = difflib.get_close_matches(plain(value).casefold(), words, n=1, cutoff=0.5)
    return words[found[0]] if found else ""


def unknown(value: Any, what: str, known: Iterable[str], *, field: str = "") -> InvalidInput:
    """The error for a code or word that is not known, with the nearest one that is."""
    guess = nearest(str(value)[:200], known)
    if guess:
        message = _("%(got)s is no known %(what)s: did you mean %(nearest)s?") % {"got": shown(value), "what": what, "nearest": guess}
    else:
        message = _("%(got)s is no known %(what)s.") % {"got": shown(value), "what": what}
    return InvalidInput(message, code="unknown", field=field, nearest=guess)


def read_known(value: Any, known: Mapping[str, Any], what: str, *, called: str = "code") -> Any:
    """What a cell names, of `known` by their names without capitals. Raises InvalidInput with the nearest, by `called` or its code."""
    found = known.get(plain(value).casefold())
    if found is None:
        raise unknown(value, what, [getattr(one, name) for name in dict.fromkeys((called, "code")) for one in known.values()])
    return found


def by_names(people: Iterable[Any]) -> dict[str, list[Any]]:
    """People by what they are called, without capitals: a user name means its owner, whoever else has it for a name."""
    found: dict[str, list[Any]] = {}
    for person in people:
        found.setdefault(plain(person.name).casefold(), []).append(person)
    return found | {plain(one.username).casefold(): [one] for several in found.values() for one in several}


def read_person(value: Any, people: Mapping[str, list[Any]], what: str) -> Any:
    """Whom a cell names, of `people` as `by_names` has them. Raises InvalidInput for nobody, with the nearest, and for several."""
    found = people.get(plain(value).casefold(), [])
    if len(found) > 1:
        names = ", ".join(one.username for one in found)
        message = _("Several people are called %(name)s. Write the user name instead: one of %(names)s.")
        raise InvalidInput(message % {"name": shown(value), "names": names}, code="ambiguous")
    if not found:
        raise unknown(value, what, [one.username for several in people.values() for one in several])
    return found[0]


def read_text(value: Any, most: int | None = None) -> str:
    """Text as it is, stripped; a whole float without `.0`. The quote that an export put before a formula's sign is taken off."""
    if isinstance(value, dt.datetime | dt.date):
        value = value.isoformat()[:10]
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).replace("\r\n", "\n").replace("\r", "\n").strip()
    if _QUOTED_FORMULA.match(text):
        text = text[1:]
    if _CONTROL.search(text):
        raise InvalidInput(_("%(got)s holds characters that cannot be kept. Type it again.") % {"got": shown(text)}, code="characters")
    if most is not None and len(text) > most:
        raise InvalidInput(
            _("The text has %(length)s characters; at most %(most)s fit. Shorten it.") % {"length": len(text), "most": most},
            code="too_long",
        )
    return text


def _no_number(value: Any) -> InvalidInput:
    return InvalidInput(_("%(got)s is not a whole number above 0. Write one like 1500.") % {"got": shown(value)}, code="number")


def _decimal(value: Any) -> Decimal:
    """The number that a text means. Raises InvalidInput where it has none, or two."""
    text = plain(value).replace("'", "").replace("’", "").replace(" ", "")
    factor = 1
    if text and text[-1] in MULTIPLES:
        factor, text = MULTIPLES[text[-1]], text[:-1]
    if len(text) > 40:
        raise _no_number(value)
    sign = "[+-]?"
    if factor == 1 and re.fullmatch(r"[+-]?\d{1,3}\.\d{3}", text):
        raise InvalidInput(
            _("%(got)s can be read as %(thousands)s or as a fraction. Write it without the point.")
            % {"got": shown(value), "thousands": text.replace(".", "")},
            code="ambiguous",
        )
    if re.fullmatch(rf"{sign}{_GROUPS % ','}(\.\d+)?", text):
        text = text.replace(",", "")
    elif re.fullmatch(rf"{sign}(?:{_GROUPS % '[.]'},\d+|{_GROUPS % '[.]'})", text):
        text = text.replace(".", "").replace(",", ".")
    elif not re.fullmatch(rf"{sign}\d+(\.\d+)?", text):
        raise _no_number(value)
    try:
        return Decimal(text) * factor
    except InvalidOperation as error:
        raise _no_number(value) from error


def read_quantity(value: Any, most: int) -> int:
    """A whole number from 1 to `most`: `500`, `500.0`, `1,500`, `１，５００`, `1 500`, `1.5万`."""
    if isinstance(value, bool) or is_blank(value) or not isinstance(value, str | int | float | Decimal):
        raise _no_number(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _no_number(value)
    number = _decimal(value) if isinstance(value, str) else Decimal(value)
    if number != number.to_integral_value():
        raise _no_number(value)
    if number <= 0:
        raise InvalidInput(
            _("%(got)s is not above 0. Write a number from 1 to %(most)s.") % {"got": shown(value), "most": most}, code="number"
        )
    if number > most:
        raise InvalidInput(
            _("%(got)s is too large. Write a number from 1 to %(most)s.") % {"got": shown(value), "most": most}, code="number"
        )
    return int(number)


def _no_date(value: Any) -> InvalidInput:
    return InvalidInput(_("%(got)s is not a date. Write it like 2026-12-30.") % {"got": shown(value)}, code="date")


def _day(value: Any, year: int, month: int, day: int) -> dt.date:
    try:
        found = dt.date(year, month, day)
    except ValueError as error:
        raise InvalidInput(
            _("%(got)s is a day that does not exist. Write it like 2026-12-30.") % {"got": shown(value)}, code="date"
        ) from error
    return _in_range(value, found)


def _in_range(value: Any, found: dt.date) -> dt.date:
    if not _FIRST <= found <= _LAST:
        raise InvalidInput(
            _("%(got)s is the day %(day)s, which is too far away. Write one between 2000 and 2099.")
            % {"got": shown(value), "day": found.isoformat()},
            code="date",
        )
    return found


def _next_such_day(value: Any, month: int, day: int, near: dt.date) -> dt.date:
    """The first such day on or after `near`: 29 February may be years away."""
    for year in range(near.year, near.year + 9):
        try:
            found = dt.date(year, month, day)
        except ValueError:
            continue
        if found >= near:
            return found
    raise _no_date(value)


def _serial(value: Any, number: float) -> dt.date:
    if not math.isfinite(number) or not 0 < number < 100_000:
        raise _no_date(value)
    return _in_range(value, _EXCEL_EPOCH + dt.timedelta(days=int(number)))


def read_date(value: Any, near: dt.date) -> dt.date:
    """A day: a date cell, `2026/12/30`, `2026-12-30`, `2026年12月30日`, `20261230`, `31.12.2026`, an Excel serial, `12月18日`.

    A day without its year is the next such day from `near` on. `05/06/2026` has two meanings and is refused.
    """
    if isinstance(value, dt.datetime):
        return _in_range(value, value.date())
    if isinstance(value, dt.date):
        return _in_range(value, value)
    if isinstance(value, bool) or is_blank(value):
        raise _no_date(value)
    if isinstance(value, int | float):
        return _serial(value, value)
    text = re.sub(r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$", "", plain(value))
    if "月" in text:
        text = text.replace(" ", "")
    if found := re.fullmatch(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})", text):
        return _day(value, *(int(part) for part in found.group(1, 3, 4)))
    if found := re.fullmatch(r"(\d{4})年(\d{1,2})月(\d{1,2})[日号]?|(\d{4})(\d{2})(\d{2})", text):
        return _day(value, *(int(part) for part in found.groups() if part))
    if found := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text):
        day, month, year = (int(part) for part in found.groups())
        return _day(value, year, month, day)
    if found := re.fullmatch(r"(\d{1,2})([-/])(\d{1,2})\2(\d{4})", text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        if first <= 12 and second <= 12 and first != second:
            raise InvalidInput(
                _("%(got)s can be two days. Write the year first, like 2026-12-30.") % {"got": shown(value)}, code="ambiguous"
            )
        return _day(value, year, *((second, first) if first > 12 else (first, second)))
    if found := re.fullmatch(r"(\d{1,2})月(\d{1,2})[日号]?", text):
        return _next_such_day(value, int(found[1]), int(found[2]), near)
    if re.fullmatch(r"\d{5}(\.\d+)?", text):
        return _serial(value, float(text))
    raise _no_date(value)


def read_choice(value: Any, words: Mapping[str, T], what: str) -> T:
    """What the word stands for; case and width do not matter. The first word of each meaning is the one that errors show."""
    text = plain(value).casefold()
    for word, meaning in words.items():
        if plain(word).casefold() == text:
            return meaning
    first: dict[T, str] = {}
    for word, meaning in words.items():
        first.setdefault(meaning, word)
    guess = nearest(str(value)[:200], words)
    if guess and guess == str(words[guess]):  # a bare code: nobody is told to write that
        guess = first[words[guess]]
    expected = ", ".join(first.values())
    if guess:
        message = _("%(got)s is no known %(what)s: did you mean %(nearest)s? Expected: %(words)s.")
    else:
        message = _("%(got)s is no known %(what)s. Expected: %(words)s.")
    raise InvalidInput(message % {"got": shown(value), "what": what, "nearest": guess, "words": expected}, code="unknown", nearest=guess)


def english(text: Any) -> str:
    """A translated text as the code has it: tables in English are read whatever the reader's language is."""
    with override(None):
        return str(text)


def label_words(choices: Any) -> dict[str, Any]:
    """The labels of `choices`, in the reader's language and in English."""
    return {str(choice.label): choice for choice in choices} | {english(choice.label): choice for choice in choices}


def unit_words() -> dict[str, Unit]:
    """Every way to write a unit: labels, codes, and what offices write."""
    return label_words(Unit) | {unit.value: unit for unit in Unit} | dict(WRITTEN)


def read_unit(value: Any) -> Unit:
    """`本`, `pcs`, `Copies` -> Unit."""
    return read_choice(value, unit_words(), _("unit"))


def read_colours(value: Any) -> tuple[str, str]:
    """`CMYK+528C` -> ("CMYK", "528C"): some of C, M, Y, K in this order, and the spot colours with commas. `4+0` is refused."""
    text = read_text(value)
    parts = [part.strip() for part in re.split(r"[+＋,，、/]", re.sub(r"\s*[(（]\d+[)）]\s*$", "", text)) if part.strip()]
    process, spots = "", []
    for part in parts:
        letters = plain(part).upper()
        if re.fullmatch(r"(?!$)C?M?Y?K?", letters) and not process:
            process = letters
        elif re.fullmatch(r"[CMYK]{2,}|\d", letters):
            raise InvalidInput(
                _("%(got)s is no set of colours. Write some of C, M, Y and K in this order, then spot colours: CMYK+528C.")
                % {"got": shown(value)},
                code="colours",
            )
        else:
            spots.append(part)
    return process, ", ".join(spots)


def read_codes(value: Any) -> list[str]:
    """`CTP > CUT → PRT` -> ["CTP", "CUT", "PRT"]: codes in capitals, in order. Whether they exist is the caller's business."""
    text = unicodedata.normalize("NFKC", read_text(value))
    codes = [code.strip().upper() for code in re.split(r"->|=>|[>→➔➜⇒»›,;|\n、]", text)]
    if not codes or not all(codes):
        raise InvalidInput(
            _("%(got)s is no route. Write process codes with > between them, like CTP > CUT > PRT.") % {"got": shown(value)}, code="route"
        )
    return codes
