"""The codes on paper and badges. Pure: no query, no settings.

A code is a letter, a number in Crockford's base 32 and a check character: `T` + `2N` + `7`. All of it is upper case letters
and digits that sit at the same key on every keyboard layout's scan codes that a scanner sends, so nothing moves on the way.
The paper that goes with a job carries `D` and `J` codes, which tell the order's revision besides the order or the task.

People call task 598 `T598`. So that nobody's typing of a number is ever another task's code, `T` with nothing but decimal digits
is no code: where a task's would be one, its letter is `K`.

The check is a sum in the field of 32 elements with a different weight for each place, so that every wrong character and
every swap of two neighbours changes it.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
# Crockford: what looks like a digit is read as that digit.
READ_AS = str.maketrans("OIL", "011")
LONGEST = 20
LARGEST = 2**63 - 1  # what a row's number can be
REVISIONS = 4096  # a paper's revision is kept in twelve bits
URL_FOLDER = "/s/"


class Kind(StrEnum):
    ORDER = "W"
    TASK = "T"
    BADGE = "E"
    COMMAND = "C"
    REASON = "R"
    ORDER_PAPER = "D"
    TASK_PAPER = "J"


SECOND = "K"  # the letter of a task whose code would read as the number of one
TASK_NUMBER = re.compile(r"T[0-9]+")
PAPERS = {Kind.ORDER_PAPER: Kind.ORDER, Kind.TASK_PAPER: Kind.TASK}
# The strip on the job ticket. A number never changes its meaning: the paper is out there.
COMMANDS = {1: "start", 2: "pause", 3: "complete", 4: "undo", 5: "claim", 6: "resume", 7: "release", 8: "report"}
# Reason codes of workorders.ReasonCode by their number on paper.
REASONS = {
    1: "setup", 2: "material", 3: "print", 4: "register", 5: "colour", 6: "cut", 7: "glue", 8: "machine", 9: "waiting", 10: "break",
    11: "other",
}  # fmt: skip


@dataclass(frozen=True)
class Code:
    """What a code says. `revision` is the paper's, modulo 4096; None where the code is not from a paper."""

    kind: Kind
    number: int
    revision: int | None = None


class BadCode(InvalidInput):
    """The text is no code of ours; `code` is one of bad_code, a_number, wrong_check, wrong_layout, foreign_host."""

    code = "bad_code"


def _times_two(value: int) -> int:
    """Times x in GF(32), modulo x^5 + x^2 + 1."""
    value <<= 1
    return value ^ 0b100101 if value & 32 else value


def _checksum(text: str) -> int:
    """The weighted sum of `text`, the last place weighing 1, the one before it x, then x², … all different for 31 places."""
    total = 0
    for letter in text:
        total = _times_two(total) ^ VALUES[letter]
    return total


def _in_base_32(number: int) -> str:
    digits = ""
    while True:
        number, rest = divmod(number, 32)
        digits = ALPHABET[rest] + digits
        if not number:
            return digits


def encode(kind: Kind, number: int, revision: int | None = None) -> str:
    """The code of row `number`. A paper's kind needs the order's `revision`."""
    if kind in PAPERS:
        if revision is None:
            raise ValueError("A paper's code carries a revision.")
        number = number * REVISIONS + revision % REVISIONS
    digits = _in_base_32(number)
    code = _checked(kind + digits)
    return _checked(SECOND + digits) if TASK_NUMBER.fullmatch(code) else code


def _checked(body: str) -> str:
    return body + ALPHABET[_times_two(_checksum(body))]


def decode(text: str) -> Code:
    """Read a plain code. Raises BadCode for anything that `encode` would not have written."""
    plain = unicodedata.normalize("NFKC", text)
    # Wide letters are read as the plain ones. What is several letters in one, or a capital of another alphabet, is a wrong reading.
    text = plain.strip().upper().translate(READ_AS) if plain.isascii() and len(plain) == len(text) else ""
    if len(text) <= LONGEST and TASK_NUMBER.fullmatch(text):
        raise BadCode(
            _("%(number)s is the task's number. Scan its code, or type the small code under the bars.") % {"number": text}, code="a_number"
        )
    if not 3 <= len(text) <= LONGEST or text[0] not in {*Kind, SECOND} or any(letter not in VALUES for letter in text):
        raise _no_code()
    # Times x once more, so that the check character stands for the sum itself.
    if _times_two(_checksum(text[:-1])) != VALUES[text[-1]]:
        raise BadCode(_("Code %(code)s was not read right. Scan it again.") % {"code": text}, code="wrong_check")
    number = 0
    for letter in text[1:-1]:
        number = number * 32 + VALUES[letter]
    kind = Kind.TASK if text[0] == SECOND else Kind(text[0])
    number, revision = divmod(number, REVISIONS) if kind in PAPERS else (number, None)
    if number > LARGEST or encode(kind, number, revision) != text:
        raise _no_code()
    return Code(PAPERS.get(kind, kind), number, revision)


def _no_code() -> BadCode:
    return BadCode(_("This is no code of Docket. Scan the code on the job ticket, or type it again."))


def parse(text: str, *, hosts: Collection[str] = ()) -> Code:
    """Read what a scanner sent: a plain code, or this site's address of one (`https://docket.example.com/s/T2N7`).

    `hosts` are the site's own names as ALLOWED_HOSTS has them: `.example.com` stands for all below it, too. Raises BadCode, with
    a hint where the scanner's keyboard layout is wrong.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if "://" in plain or plain.lower().startswith(("http:", "https:", "www.")):
        return _of_address(plain, hosts)
    try:
        return decode(text)
    except BadCode as refusal:
        if layout := layout_of(text):
            raise BadCode(
                _("The scanner types with the keyboard layout '%(layout)s'. Set it to English (US): this would have been code %(code)s.")
                % {"layout": layout[0], "code": layout[1]},
                code="wrong_layout",
                layout=layout[0],
            ) from refusal
        raise


def _of_address(text: str, hosts: Collection[str]) -> Code:
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        raise _no_code() from None
    if not any(_is_at(host, own.lower().strip("[]")) for own in hosts):
        raise BadCode(
            _("This code belongs to %(host)s, not to this Docket. Scan a code of this shop.") % {"host": host[:80] or "?"},
            code="foreign_host",
        )
    match = re.fullmatch(re.escape(URL_FOLDER) + r"([0-9A-Z]{3,20})/?", parts.path, re.IGNORECASE | re.ASCII)
    if not match:
        raise _no_code()
    return decode(match[1])


def _is_at(host: str, own: str) -> bool:
    return host == own.removeprefix(".") or (own.startswith(".") and host.endswith(own))


def address(code: str, host: str) -> str:
    """The address form of a code, for a QR that a phone's camera opens: `host` is like https://docket.example.com."""
    return f"{host.rstrip('/')}{URL_FOLDER}{code}"


# What the keys of an English (US) keyboard type under another layout: layout -> (the digits' keys with and without shift, the
# letters' keys from A to Z). A scanner sends capitals with shift and digits without, so both rows of digits are looked up.
_DIGITS, _LETTERS = ALPHABET[:10], "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LAYOUTS = {
    "French (AZERTY)": (("à&é\"'(-è_ç",), ("QBCDEFGHIJKL?NOPARSTUVZXYW", "QBCDEFGHIJKL,NOPARSTUVZXYW")),
    "Belgian (AZERTY)": (("à&é\"'(§è!ç",), ("QBCDEFGHIJKL?NOPARSTUVZXYW", "QBCDEFGHIJKL,NOPARSTUVZXYW")),
    "German (QWERTZ)": (('=!"§$%&/()',), ("ABCDEFGHIJKLMNOPQRSTUVWXZY",)),
    "English (US), with Caps Lock or shift": ((")!@#$%^&*(",), (_LETTERS,)),
    "Russian": ((')!"№;%:?*(',), ("ФИСВУАПРШОЛДЬТЩЗЙКЫЕГМЦЧНЯ",)),
}


def _typed(rows: tuple[str, ...], letters: tuple[str, ...]) -> dict[str, str]:
    pairs = [(row, _DIGITS) for row in (_DIGITS, *rows)] + [(row, _LETTERS) for row in letters]
    return {key.upper(): meant for row, meanings in pairs for key, meant in zip(row, meanings, strict=True)}


MEANT = {name: _typed(*rows) for name, rows in _LAYOUTS.items()}


def layout_of(text: str) -> tuple[str, str] | None:
    """(layout, the code that was meant), where `text` is a code of ours typed through another keyboard layout; else None."""
    text = unicodedata.normalize("NFC", text).strip().upper()
    for name, meant_by in MEANT.items():
        meant = "".join(meant_by.get(letter, "?") for letter in text[: LONGEST + 1])
        if meant == text:
            continue
        try:
            decode(meant)
        except BadCode:
            continue
        return name, meant
    return None
