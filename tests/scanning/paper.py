"""Paper as others see it: pages rendered by poppler, codes read from them by zbar, both strangers to our own code."""

import itertools
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

TOOLS = ("pdftoppm", "pdftotext", "pdfinfo", "zbarimg")
MAPS = Path("/usr/share/poppler")  # without them poppler leaves Chinese out
INSTALL = "apt-get install poppler-utils poppler-data zbar-tools fonts-noto-cjk"
DOTS = 200  # an inch
# zbar takes finder patterns of neighbouring QR codes together; a person points at one code at a time, and so does this.
TILE, STEP = (76, 46), (36, 22)


def need_tools() -> None:
    """Skip where a tool is missing; fail where DOCKET_REQUIRE_PAPER says that none may be."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)] + ([] if MAPS.exists() else ["poppler-data"])
    if not missing:
        return
    if os.environ.get("DOCKET_REQUIRE_PAPER"):
        pytest.fail(f"{', '.join(missing)} is missing, but DOCKET_REQUIRE_PAPER is set: {INSTALL}")
    pytest.skip(f"{', '.join(missing)} is missing: {INSTALL}")


@dataclass(frozen=True)
class Word:
    """A word on a page, in points from the upper left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Word", slack: float = 0.6) -> bool:
        """Whether the letters of both lie on each other; `slack` forgives the empty edge of a letter's box."""
        height = min(self.bottom - self.top, other.bottom - other.top) * 0.35
        return (
            self.left < other.right - slack
            and other.left < self.right - slack
            and self.top < other.bottom - height
            and other.top < self.bottom - height
        )


class Paper:
    """A PDF that was printed."""

    def __init__(self, pdf: bytes) -> None:
        need_tools()
        self._folder = tempfile.TemporaryDirectory(prefix="docket-paper-")
        self.path = Path(self._folder.name) / "paper.pdf"
        self.path.write_bytes(pdf)

    def _run(self, *command: str) -> str:
        done = subprocess.run([*command], capture_output=True, check=False, text=True, cwd=self._folder.name)
        if done.returncode not in (0, 4):  # zbarimg's 4: nothing to read on this page
            raise AssertionError(f"{command[0]} failed: {done.stderr}")
        complaints = [line for line in done.stderr.splitlines() if "Error" in line and "Connection" not in line]
        assert complaints == []
        return done.stdout

    @property
    def count(self) -> int:
        return int(re.search(r"^Pages:\s+(\d+)", self._run("pdfinfo", "paper.pdf"), re.MULTILINE)[1])

    @property
    def size(self) -> tuple[int, int]:
        """Of the first page, in millimetres."""
        found = re.search(r"^Page size:\s+([\d.]+) x ([\d.]+)", self._run("pdfinfo", "paper.pdf"), re.MULTILINE)
        return round(float(found[1]) / 72 * 25.4), round(float(found[2]) / 72 * 25.4)

    def text(self, page: int | None = None) -> str:
        pages = ("-f", str(page), "-l", str(page)) if page else ()
        return self._run("pdftotext", "-layout", *pages, "paper.pdf", "-")

    def codes(self) -> dict[str, set[str]]:
        """What zbar reads: {"CODE-128": {...}, "QR-Code": {...}}."""
        found: dict[str, set[str]] = {"CODE-128": set(), "QR-Code": set()}
        self._run("pdftoppm", "-r", str(DOTS), "-gray", "-png", "paper.pdf", "page")
        for image in sorted(Path(self._folder.name).glob("page*.png")):
            # The page too: the bars of a long code are wider than what two tiles share.
            read = self._run("zbarimg", "-q", "-Sdisable", "-Sqrcode.enable", "-Scode128.enable", image.name, *self._tiles(image))
            for line in read.splitlines():
                kind, _colon, text = line.partition(":")
                found[kind].add(text)
        return found

    def _tiles(self, page: Path) -> list[str]:
        """Pieces of a page that overlap, as files; without the empty ones."""
        names = []
        (width, height), (right, down) = ([round(side / 25.4 * DOTS) for side in sides] for sides in (TILE, STEP))
        with Image.open(page).convert("L") as image:
            for left, top in itertools.product(range(0, image.width, right), range(0, image.height, down)):
                piece = image.crop((left, top, min(left + width, image.width), min(top + height, image.height)))
                if piece.getextrema()[0] < 128:
                    names.append(f"tile-{len(names)}.png")
                    piece.save(Path(self._folder.name) / names[-1])
        return names

    def words(self) -> list[list[Word]]:
        """The words of each page, with their places."""
        tree = xml.fromstring(self._run("pdftotext", "-bbox", "paper.pdf", "-"))
        space = {"x": "http://www.w3.org/1999/xhtml"}
        return [
            [
                Word(word.text or "", *(float(word.get(name)) for name in ("xMin", "yMin", "xMax", "yMax")))
                for word in page.iterfind("x:word", space)
            ]
            for page in tree.iterfind(".//x:page", space)
        ]

    def faults(self) -> list[str]:
        """Words beyond the edge of their page, and words that lie on each other."""
        width, height = (side / 25.4 * 72 for side in self.size)
        wrong = []
        for number, words in enumerate(self.words(), 1):
            wrong += [
                f"page {number}: {word.text} is off the page"
                for word in words
                if word.left < 5 or word.right > width - 5 or word.top < 3 or word.bottom > height - 3
            ]
            for place, word in enumerate(words):
                wrong += [f"page {number}: {word.text} lies on {other.text}" for other in words[place + 1 :] if word.overlaps(other)]
        return wrong
