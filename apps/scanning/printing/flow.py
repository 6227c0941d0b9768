"""Pages that fill from top to bottom: rows go to the next page when they do not fit, with their heading repeated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.scanning.printing.pen import Pen
from apps.scanning.printing.text import height_of, wrap

LEFT, WIDTH = 12.0, 186.0
RIGHT = LEFT + WIDTH
BOTTOM = 282.0  # the foot of the page is below
GAP = 5.0  # between numbers and the column beside them


@dataclass(frozen=True)
class Column:
    """One of a table: `width` in millimetres, `align` left or right."""

    title: str
    width: float
    align: str = "left"
    bold: bool = False

    def place(self, x: float) -> float:
        """Where a text of the column begins or, to the right, ends, if the column begins at `x`."""
        return x + self.width - GAP if self.align == "right" else x


class Flow:
    """The pages of one order. What is drawn is kept until all pages are there, since each tells how many there are."""

    def __init__(self, begin_page: Callable[["Flow"], None]) -> None:
        self.pages: list[list[tuple[str, tuple, dict]]] = []
        self.y = 0.0
        self._begin_page = begin_page
        self._heading: Callable[[bool], None] | None = None
        self.turn()

    def put(self, what: str, *args: Any, **kwargs: Any) -> None:
        """Draw with that method of the pen, on the present page."""
        self.pages[-1].append((what, args, kwargs))

    def turn(self) -> None:
        """Begin a page, with the heading of what goes on there."""
        self.pages.append([])
        self._begin_page(self)
        if self._heading is not None:
            self._heading(True)

    def make_room(self, height: float) -> None:
        if self.y + height > BOTTOM:
            self.turn()

    def section(self, title: str, *, more: Callable[[], None] | None = None, height: float = 20) -> None:
        """A heading, repeated where the section goes on on the next page; `height` is what has to fit below it."""
        self._heading = None
        self.make_room(height)

        def heading(again: bool) -> None:
            self.put("text", LEFT, self.y, f"{title} …" if again else title, 11, bold=True)
            self.y += 5.6
            self.put("rule", LEFT, self.y, WIDTH, line=0.5)
            self.y += 0.8
            if more:
                more()

        heading(False)
        self._heading = heading

    def end_section(self, gap: float = 3.5) -> None:
        self._heading = None
        self.y += gap

    def table(self, title: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]], *, size: float = 10) -> None:
        """A section of rows of texts; a cell may be a function that draws itself at (x, y)."""

        def names() -> None:
            x = LEFT
            for column in columns:
                self.put("text", column.place(x), self.y, column.title, 7.5, align=column.align, grey=0.3)
                x += column.width
            self.y += 4

        self.section(title, more=names)
        for row in rows:
            cells = [
                None if callable(cell) else wrap(cell, size, column.width - (GAP if column.align == "right" else 2.5), bold=column.bold)
                for cell, column in zip(row, columns, strict=True)
            ]
            height = height_of(max(len(cell or [""]) for cell in cells), size) + 1.4
            self.make_room(height)
            x = LEFT
            for column, cell, lines in zip(columns, row, cells, strict=True):
                if lines is None:
                    cell(x, self.y + 0.5)
                else:
                    self.put("lines", column.place(x), self.y + 0.5, lines, size, bold=column.bold, align=column.align)
                x += column.width
            self.y += height
            self.put("rule", LEFT, self.y, WIDTH, line=0.12, grey=0.55)
        self.end_section()

    def paragraphs(self, title: str, lines: Sequence[str], *, size: float = 11) -> None:
        """A section of lines, each of which may begin the next page."""
        self.section(title)
        for line in lines:
            self.make_room(height_of(1, size))
            self.put("text", LEFT, self.y + 0.5, line, size)
            self.y += height_of(1, size)
        self.end_section(4)

    def draw(self, pen: Pen, end_page: Callable[[Pen, int, int], None]) -> None:
        """Draw every page; `end_page` adds what needs the page's number and their count."""
        for number, page in enumerate(self.pages, 1):
            for what, args, kwargs in page:
                getattr(pen, what)(*args, **kwargs)
            end_page(pen, number, len(self.pages))
            pen.end_page()
