"""The page of backups: for administrators, and a download only after the password."""

import pytest
from django.core.cache import cache
from django.urls import reverse

from apps.core.models import Bucket
from apps.ops.backups.making import path_of
from tests.factories import BackupFactory
from tests.personas import PASSWORD, client_of

pytestmark = pytest.mark.django_db
LIST = reverse("admin:ops_backup_changelist")


@pytest.fixture
def row(places):
    places.backups.mkdir()
    one = BackupFactory(state="proved", size=2_000_000, events=12, host="press-1", key_fingerprint="0123456789abcdef")
    path_of(one.name).write_bytes(b"everything")
    return one


def download(row):
    return reverse("admin:ops_backup_verb_download", args=[row.pk])


def test_administrators_see_what_became_of_each_backup(row, administrator):
    BackupFactory(state="failed", problem="The disk is full.")
    client = client_of(administrator)
    page = client.get(LIST).content.decode()
    assert row.name in page
    assert "The disk is full." in page
    assert "1.9\xa0MB" in page
    page = client.get(reverse("admin:ops_backup_change", args=[row.pk])).content.decode()
    assert "press-1" in page
    assert "0123456789abcdef" in page
    assert download(row) in page
    assert LIST in client.get("/admin/").content.decode()


def test_the_list_says_which_are_encrypted(row, administrator):
    page = client_of(administrator).get(LIST).content.decode()
    assert (page.count("check_small"), page.count("close_small")) == (1, 0)
    BackupFactory(state="proved")
    page = client_of(administrator).get(LIST).content.decode()
    assert (page.count("check_small"), page.count("close_small")) == (1, 1)


@pytest.mark.parametrize("name", ["maker", "supervisor", "planner", "auditor", "operator"])
def test_nobody_else_sees_them(row, everybody, name):
    client = client_of(everybody[name])
    for address in (LIST, reverse("admin:ops_backup_change", args=[row.pk]), download(row)):
        assert client.get(address).status_code == 403
    assert client.post(download(row), {"password": PASSWORD}).status_code == 403
    assert LIST not in client.get("/admin/").content.decode()


def test_no_page_writes_one(row, administrator):
    client = client_of(administrator)
    assert client.get(reverse("admin:ops_backup_add")).status_code == 403
    assert client.post(reverse("admin:ops_backup_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert client.post(reverse("admin:ops_backup_change", args=[row.pk]), {"state": "failed"}).status_code == 403


def test_the_archive_comes_after_the_password(row, administrator):
    client = client_of(administrator)
    assert "everything" not in client.get(download(row)).content.decode().replace("holds everything", "")
    for wrong in ({}, {"password": "wrong"}):
        assert client.post(download(row), wrong).status_code == 400
    answer = client.post(download(row), {"password": PASSWORD})
    assert b"".join(answer.streaming_content) == b"everything"
    assert answer["Content-Disposition"] == f'attachment; filename="{row.name}.tar"'
    assert "no-store" in answer["Cache-Control"]


def test_wrong_passwords_are_counted(row, administrator):
    client = client_of(administrator)
    for _ in range(10):
        assert "This is not your password." in client.post(download(row), {"password": "wrong"}).content.decode()
    cache.clear()
    assert "Too many tries" in client.post(download(row), {"password": PASSWORD}).content.decode()
    Bucket.objects.all().delete()
    assert client.post(download(row), {"password": PASSWORD}).status_code == 200


def test_an_archive_of_another_machine_is_a_sentence(row, administrator):
    path_of(row.name).unlink()
    answer = client_of(administrator).post(download(row), {"password": PASSWORD})
    assert answer.status_code == 409
    assert "It was made on press-1." in answer.content.decode()


def test_a_backup_that_is_gone_offers_nothing(administrator):
    gone = BackupFactory(state="removed")
    client = client_of(administrator)
    assert client.get(download(gone)).status_code == 403
    assert client.post(download(gone), {"password": PASSWORD}).status_code == 409
