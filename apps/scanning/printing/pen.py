"""What paper is drawn with: text, boxes, QR and Code 128, in millimetres from the upper left corner."""

from functools import lru_cache
from io import BytesIO
from itertools import groupby

import segno
from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from apps.scanning.printing.text import CHINESE, LEADING, runs, width_of

QUIET = 4  # modules around a QR
BARS_QUIET = 10  # modules beside a Code 128
MODULE = 0.36  # mm: as wide as a bar of Code 128 gets where there is room; cheap scanners read it at arm's length
FAINT = 0.35  # the lightest grey that a laser printer sets cleanly


@lru_cache(maxsize=512)
def _squares(text: str) -> tuple[int, tuple[tuple[int, int, int], ...]]:
    """A QR as (modules along a side, the dark stretches as row, column, length)."""
    matrix = segno.make(text, error="m", micro=False).matrix
    dark = []
    for row, line in enumerate(matrix):
        column = 0
        for is_dark, modules in groupby(line):
            length = len(list(modules))
            if is_dark:
                dark.append((row, column, length))
            column += length
    return len(matrix), tuple(dark)


class Pen:
    """Draws one PDF. Page sizes are (width, height) in millimetres."""

    def __init__(self, size: tuple[float, float], *, title: str) -> None:
        self._target = BytesIO()
        self._size = size
        self._canvas = Canvas(self._target, pagesize=(size[0] * mm, size[1] * mm), pageCompression=1)
        self._canvas.setTitle(title)
        self._canvas.setCreator("Docket")
        self._canvas.setAuthor("Docket")
        self._canvas.setSubject(title)

    def end_page(self) -> None:
        self._canvas.showPage()

    def bytes(self) -> bytes:
        self._canvas.save()
        return self._target.getvalue()

    def _y(self, y: float) -> float:
        return (self._size[1] - y) * mm

    def text(
        self, x: float, y: float, text: str, size: float, *, bold: bool = False, align: str = "left", grey: float = 0, spacing: float = 0
    ) -> None:
        """One line whose upper edge is at `y`. `align` says which end of it `x` is: left, centre or right."""
        if align != "left":
            wide = width_of(text, size, bold=bold) + spacing * max(len(text) - 1, 0) / mm
            x -= wide if align == "right" else wide / 2
        line = self._canvas.beginText(x * mm, self._y(y) - size * (LEADING + 0.72) / 2)
        line.setFillGray(grey)
        line.setStrokeGray(grey)
        line.setCharSpace(spacing)
        for font, piece in runs(text, bold=bold):
            line.setFont(font, size)
            # Filled and outlined: the bold that the Chinese font does not have.
            line.setTextRenderMode(2 if bold and font == CHINESE else 0)
            line.textOut(piece)
        line.setTextRenderMode(0)
        self._canvas.saveState()
        self._canvas.setLineWidth(size * 0.035)
        self._canvas.drawText(line)
        self._canvas.restoreState()

    def lines(self, x: float, y: float, lines: list[str], size: float, *, bold: bool = False, align: str = "left", grey: float = 0) -> None:
        for number, line in enumerate(lines):
            self.text(x, y + number * size * LEADING / mm, line, size, bold=bold, align=align, grey=grey)

    def box(self, x: float, y: float, width: float, height: float, *, fill: float | None = None, line: float = 0.25) -> None:
        """A rectangle: `fill` is its grey (0 is black), `line` the width of its border in millimetres, 0 for none."""
        self._canvas.saveState()
        self._canvas.setLineWidth(line * mm)
        self._canvas.setFillGray(1 if fill is None else fill)
        self._canvas.rect(x * mm, self._y(y + height), width * mm, height * mm, stroke=int(line > 0), fill=int(fill is not None))
        self._canvas.restoreState()

    def rule(self, x: float, y: float, width: float, *, line: float = 0.2, grey: float = 0) -> None:
        self._canvas.saveState()
        self._canvas.setLineWidth(line * mm)
        self._canvas.setStrokeGray(grey)
        self._canvas.line(x * mm, self._y(y), (x + width) * mm, self._y(y))
        self._canvas.restoreState()

    def tick(self, x: float, y: float, side: float, *, is_done: bool) -> None:
        """A box to tick, ticked already where the thing is done."""
        self.box(x, y, side, side, line=0.3)
        if is_done:
            self._canvas.saveState()
            self._canvas.setLineWidth(0.5 * mm)
            path = self._canvas.beginPath()
            path.moveTo((x + side * 0.2) * mm, self._y(y + side * 0.55))
            path.lineTo((x + side * 0.42) * mm, self._y(y + side * 0.8))
            path.lineTo((x + side * 0.85) * mm, self._y(y + side * 0.2))
            self._canvas.drawPath(path)
            self._canvas.restoreState()

    def qr(self, x: float, y: float, side: float, text: str) -> None:
        """A QR with its quiet zone, `side` wide in all."""
        modules, dark = _squares(text)
        module = side / (modules + 2 * QUIET)
        path = self._canvas.beginPath()
        for row, column, length in dark:
            left, upper = x + (column + QUIET) * module, y + (row + QUIET) * module
            path.rect(left * mm, self._y(upper + module), length * module * mm, module * mm)
        self._canvas.setFillGray(0)
        self._canvas.drawPath(path, stroke=0, fill=1)

    def bars(self, x: float, y: float, width: float, height: float, text: str) -> None:
        """A Code 128 with its quiet zones, centred in `width`."""
        modules = Code128(text, barWidth=1, quiet=False).width
        module = min(MODULE, width / (modules + 2 * BARS_QUIET))
        code = Code128(text, barWidth=module * mm, barHeight=height * mm, quiet=False)
        code.drawOn(self._canvas, (x + (width - modules * module) / 2) * mm, self._y(y + height))
