"""Units of quantity. A quantity always carries one."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Unit(models.TextChoices):
    """Names are codes; labels are what people read."""

    PIECE = "piece", _("pcs")
    COPY = "copy", _("copies")
    BOOK = "book", _("books")
    BOX = "box", _("boxes")
    BOARD = "board", _("boards")
    SET = "set", _("sets")
    SHEET = "sheet", _("sheets")
    RUN = "run", _("press runs")
    PLATE = "plate", _("plates")
    REAM = "ream", _("reams")
    ROLL = "roll", _("rolls")
    KILOGRAM = "kg", _("kg")
    METRE = "m", _("m")


# What offices write for each unit, besides its code and its labels.
WRITTEN = {
    "个": Unit.PIECE, "只": Unit.PIECE, "件": Unit.PIECE, "pcs": Unit.PIECE, "pc": Unit.PIECE,
    "份": Unit.COPY, "本": Unit.BOOK, "册": Unit.BOOK, "盒": Unit.BOX, "箱": Unit.BOX, "块": Unit.BOARD,
    "套": Unit.SET, "张": Unit.SHEET, "车": Unit.RUN, "令": Unit.REAM, "卷": Unit.ROLL, "公斤": Unit.KILOGRAM,
    "千克": Unit.KILOGRAM, "米": Unit.METRE, "版": Unit.PLATE,
}  # fmt: skip
