"""The manual, as a page of Docket in the reader's language."""

import re
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

FOLDER = settings.BASE_DIR / "project" / "docs"
LABEL = re.compile(r"\*\*(.+?)\*\*|(「.+?」)")  # as the two languages mark what stands on a button


class Part(NamedTuple):
    """A piece of a paragraph: words, or what stands on a button."""

    text: str
    is_label: bool


class Section(NamedTuple):
    title: str
    paragraphs: list[list[Part]]


@require_safe
def manual(request: HttpRequest) -> TemplateResponse:
    """project/docs/manual.<language>.md for whoever is signed in; in English where there is no other."""
    context = {**admin.site.each_context(request), "title": _("Manual"), "sections": sections(get_language() or "en")}
    return TemplateResponse(request, "admin/dashboard/manual.html", context)


@cache
def sections(language: str) -> list[Section]:
    """The manual's chapters. It has headings, paragraphs and labels, and no other marks."""
    path = FOLDER / f"manual.{language}.md"
    text = (path if path.exists() else FOLDER / "manual.en.md").read_text(encoding="utf-8")
    joint = "" if language.startswith("zh") else " "
    found = []
    for chapter in text.split("\n## ")[1:]:
        title, _line, body = chapter.partition("\n")
        found.append(Section(title, [_parts(joint.join(one.split("\n"))) for one in body.strip().split("\n\n")]))
    return found


def _parts(paragraph: str) -> list[Part]:
    pieces = (piece for piece in LABEL.split(paragraph) if piece)
    labels = {one or other for one, other in LABEL.findall(paragraph)}
    return [Part(piece, piece in labels) for piece in pieces]
