"""The label sheets that shops buy, and the roll of a label printer."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

A4 = (210.0, 297.0)


@dataclass(frozen=True)
class Sheet:
    """All in millimetres. `pitch` is from one label's upper left corner to the next one's; `pad` keeps text off the edge,
    and off the strip that an office printer cannot reach."""

    name: Any
    page: tuple[float, float]
    columns: int
    rows: int
    label: tuple[float, float]
    first: tuple[float, float]
    pitch: tuple[float, float]
    pad: float = 3

    @property
    def count(self) -> int:
        return self.columns * self.rows

    def corner(self, place: int) -> tuple[float, float]:
        """The upper left corner of label number `place`, from 0, row by row."""
        row, column = divmod(place, self.columns)
        return self.first[0] + column * self.pitch[0], self.first[1] + row * self.pitch[1]


SHEETS = {
    "a4-3x8": Sheet(_("A4, 24 labels of 70 × 37 mm"), A4, 3, 8, (70, 37), (0, 0.5), (70, 37), pad=4.5),
    "a4-2x7": Sheet(_("A4, 14 labels of 99.1 × 38.1 mm"), A4, 2, 7, (99.1, 38.1), (4.65, 15.15), (101.6, 38.1)),
    "a4-2x5": Sheet(_("A4, 10 labels of 99.1 × 57 mm"), A4, 2, 5, (99.1, 57), (4.65, 6), (101.6, 57)),
    "roll-100x50": Sheet(_("Roll, 100 × 50 mm"), (100, 50), 1, 1, (100, 50), (0, 0), (100, 50)),
}
