"""Text on paper: measured, wrapped and cut. Pure: no query.

Latin is set in Helvetica, everything else in STSong-Light: fonts that a PDF reader brings along, so that nothing has to be
installed on the server and a ticket stays small. All sizes are in points, all widths in millimetres.
"""

import re
import unicodedata
from functools import lru_cache

from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont

LATIN, LATIN_BOLD, CHINESE = "Helvetica", "Helvetica-Bold", "STSong-Light"
UNKNOWN = "□"  # what no font of ours has
# Not first and not last in a line, by the rules of Chinese setting.
NEVER_FIRST = frozenset("，。、；：！？）】》〉」』”’…%)]},.;:!?")
NEVER_LAST = frozenset("（【《〈「『“‘([{")
LEADING = 1.28

pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))


def _has(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=20_000)
def _set(letter: str) -> tuple[str, bool]:
    """(what is drawn for the letter, whether it is drawn in the Chinese font)."""
    if _has(letter, "cp1252"):
        return letter, False
    if _has(letter, "gbk"):
        return letter, True
    plain = unicodedata.normalize("NFKD", letter)[:1]
    if plain != letter and plain:
        return _set(plain)
    return UNKNOWN, True


def clean(text: str) -> str:
    """`text` in composed letters, without control characters; line breaks stay."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf"))


def runs(text: str, *, bold: bool = False) -> list[tuple[str, str]]:
    """`text` in pieces of one font: (font, piece). The Chinese font has no bold cut: the pen thickens it."""
    pieces: list[tuple[str, str]] = []
    for letter in text:
        drawn, is_chinese = _set(letter)
        font = CHINESE if is_chinese else LATIN_BOLD if bold else LATIN
        if pieces and pieces[-1][0] == font:
            pieces[-1] = (font, pieces[-1][1] + drawn)
        else:
            pieces.append((font, drawn))
    return pieces


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """How wide one line of `text` is, in millimetres."""
    return sum(pdfmetrics.stringWidth(piece, font, size) for font, piece in runs(text, bold=bold)) / mm


def height_of(lines: int, size: float) -> float:
    """How high so many lines are, in millimetres."""
    return lines * size * LEADING / mm


def _words(line: str) -> list[str]:
    """Pieces that a line may be broken between: words with the spaces behind them, and single Chinese letters."""
    words: list[str] = []
    joins = False
    for piece in re.findall(r"[^\s⺀-￿]+\s*|\s+|[⺀-￿]\s*", line):
        if words and (joins or piece[0] in NEVER_FIRST):
            words[-1] += piece
        else:
            words.append(piece)
        joins = piece.rstrip()[-1:] in NEVER_LAST if piece.strip() else False
    return words


def wrap(text: str, size: float, width: float, *, bold: bool = False, most: int = 0) -> list[str]:
    """`text` in lines of at most `width` millimetres. More than `most` lines (0: any number) end in "…"."""
    lines: list[str] = []
    for paragraph in clean(text).split("\n"):
        line = ""
        for word in _words(paragraph):
            if width_of((line + word).rstrip(), size, bold=bold) <= width:
                line += word
                continue
            if line.strip():
                lines.append(line.rstrip())
            line = word
            while width_of(line.rstrip(), size, bold=bold) > width and len(line) > 1:
                fits = _fitting(line, size, width, bold)
                lines.append(line[:fits])
                line = line[fits:]
        lines.append(line.rstrip())
        if most and len(lines) > most:
            break
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    if most and len(lines) > most:
        lines = lines[:most]
        lines[-1] = fit(lines[-1] + "…", size, width, bold=bold, always=True)
    return lines


def _fitting(line: str, size: float, width: float, bold: bool) -> int:
    """How many letters of `line` fit; at least one."""
    low, high = 1, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(line[:middle], size, bold=bold) <= width else (low, middle - 1)
    return low


def fit(text: str, size: float, width: float, *, bold: bool = False, always: bool = False) -> str:
    """`text` as one line of at most `width` millimetres, cut with "…" where it is longer."""
    text = " ".join(clean(text).split())
    if width_of(text, size, bold=bold) <= width:
        return text
    text = text.removesuffix("…") if always else text
    return text[: _fitting(text, size, max(width - width_of("…", size, bold=bold), 0.1), bold)].rstrip() + "…"


def largest(text: str, size: float, width: float, *, bold: bool = False, least: float = 7) -> float:
    """The largest size up to `size` in which `text` fits into `width`; not below `least`."""
    wide = width_of(text, size, bold=bold)
    return size if wide <= width else max(least, size * width / wide)
