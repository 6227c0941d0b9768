"""The manual: for everybody, and true to the pages."""

import pytest
from django.urls import reverse
from django.utils import translation
from django.utils.translation import trans_real

from apps.dashboard.manual import sections
from tests.personas import PEOPLE, client_of
from tests.shop import Shop

LANGUAGES = ("en", "zh-hans")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_label_that_the_manual_names_stands_on_a_page(language: str) -> None:
    parts = [part for section in sections(language) for paragraph in section.paragraphs for part in paragraph]
    labels = {part.text.strip("「」") for part in parts if part.is_label}
    texts = trans_real.translation("zh-hans")._catalog
    known = {key if language == "en" else text for key, text in texts.items() if isinstance(key, str)}
    # Words of the packages are looked up like our own; a plural's first form stands for it.
    assert len(labels) > 25
    assert labels - known == set()


def test_both_languages_have_the_same_chapters() -> None:
    numbers = [[section.title.split(".")[0] for section in sections(language)] for language in LANGUAGES]
    assert numbers[0] == numbers[1] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("name", list(PEOPLE))
def test_everybody_can_read_it(shop: Shop, name: str) -> None:
    client = client_of(shop.people[name])
    page = client.get(reverse("dashboard:manual")).content.decode()
    assert "<h2>6. Operator: on the floor</h2>" in page
    assert "<b>Take it</b>" in page
    assert reverse("dashboard:manual") in client.get(reverse("admin:index")).content.decode()


def test_it_speaks_the_readers_language(shop: Shop) -> None:
    client = client_of(shop.people["maker"])
    client.cookies["django_language"] = "zh-hans"
    with translation.override("zh-hans"):
        page = client.get(reverse("dashboard:manual")).content.decode()
    assert "<h2>6. 操作员：在车间</h2>" in page


def test_it_is_for_who_is_signed_in() -> None:
    assert client_of(None).get(reverse("dashboard:manual")).status_code == 302
