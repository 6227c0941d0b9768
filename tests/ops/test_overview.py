"""The page that says how the installation runs, and the banner that leads to it."""

import re
import socket
import subprocess
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from apps.core.jobs import run
from apps.core.models import Heartbeat
from apps.dashboard.navigation import pages
from apps.ops import overview, schedules
from apps.ops.backups.making import unproved_since
from apps.ops.models import Backup
from apps.ops.schedules import PERIODIC
from apps.ops.trouble import trouble
from tests.factories import BackupFactory, DeviceFactory, HeartbeatFactory, HoldFactory, JobRunFactory, ScanFactory, TaskFactory
from tests.personas import again, client_of
from tests.queries import count_queries

pytestmark = pytest.mark.django_db
PAGE = reverse("operations")
GIGABYTE = 1024**3


def panel(user, key):
    found = overview.content(user)
    return next(one for one in [*found["main_panels"], *found["side_panels"]] if one.key == key)


def row(user, key, title):
    return next(one for one in panel(user, key).rows if one.title == title)


def labels(one):
    return [word for word, _tone in one.labels]


@pytest.mark.parametrize("name", ["maker", "supervisor", "planner", "auditor", "operator", "nobody"])
def test_only_administrators_open_it(everybody, name):
    client = client_of(everybody[name])
    assert client.get(PAGE).status_code == 403
    assert PAGE not in client.get("/admin/").content.decode()


def test_it_is_in_the_sidebar_and_is_only_read(administrator):
    client = client_of(administrator)
    assert PAGE in [item["link"] for group in pages(administrator) for item in group["items"]]
    assert client.get(PAGE).status_code == 200
    assert client.post(PAGE).status_code == 405
    assert client_of(None).get(PAGE).status_code == 302


def test_an_empty_installation_says_what_to_do(administrator):
    text = client_of(administrator).get(PAGE).content.decode()
    for words in ("It has never run.", "No job waits.", "No backup was ever proved.", "No handheld is in use.", "No job failed"):
        assert words in text


def grow(shop):
    """More of everything that the page shows."""
    for number in range(12):
        HeartbeatFactory(host=f"host-{number}")
        JobRunFactory(state="dead", name="workorders.sweep", problem="Boom.")
        BackupFactory(state="proved", host="press", size=10)
        DeviceFactory(clock_offset_ms=number * 60_000, last_seen_at=timezone.now())
        ScanFactory(outcome="received")
        TaskFactory(status="pending")
        OrmQ.objects.create(key="docket", payload="x", lock=timezone.now())


def test_it_costs_the_same_for_few_and_for_many(shop, administrator):
    client = client_of(administrator)

    def cost():
        with count_queries(28) as queries:
            assert client.get(PAGE).status_code == 200
        return queries

    client.get(PAGE)
    schedules.sync()
    Schedule.objects.update(task="job-of-schedule")
    BackupFactory(state="proved")
    few = cost()
    grow(shop)
    many = cost()
    assert len(few) == len(many), f"{few}\n\n{many}"


def test_every_link_of_the_page_opens(shop, administrator):
    grow(shop)
    for user in (administrator, shop.people["superuser"]):
        client = client_of(user)
        text = client.get(PAGE).content.decode()
        links = {link.replace("&amp;", "&") for link in re.findall(r'(?:href|hx-get)="(/[^"]+)"', text) if not link.startswith("/static/")}
        assert reverse("admin:ops_backup_changelist") in links
        for link in sorted(links):
            assert client.get(link, follow=True).status_code == 200, link


def test_the_worker_and_the_queue(administrator):
    assert labels(row(administrator, "worker", "Worker")) == ["down"]
    run("core.heartbeat")
    beat = row(administrator, "worker", "Worker")
    assert (labels(beat), socket.gethostname() in beat.detail) == (["runs"], True)
    HeartbeatFactory(name="cluster@press", process_group=77)
    assert row(administrator, "worker", "cluster@press").detail.endswith("process group 77")
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=4))
    assert panel(administrator, "worker").tone == "danger"
    job = OrmQ.objects.create(key="docket", payload="x", lock=timezone.now() - timedelta(minutes=1))
    assert labels(row(administrator, "worker", "Queue")) == ["moves"]
    OrmQ.objects.filter(pk=job.pk).update(lock=timezone.now() - timedelta(minutes=5))
    queue = row(administrator, "worker", "Queue")
    assert (labels(queue), queue.detail) == (["late"], "The oldest job has waited 5\xa0minutes.")
    OrmQ.objects.filter(pk=job.pk).update(lock=timezone.now() + timedelta(minutes=5))  # being delivered
    assert row(administrator, "worker", "Queue").detail == "No job waits."


def test_schedules_say_when_they_run_and_how_it_went(administrator):
    assert {tuple(labels(one)) for one in panel(administrator, "schedules").rows} == {("missing",)}
    schedules.sync()
    rows = panel(administrator, "schedules").rows
    assert [(one.title, one.detail.partition(" · ")[0]) for one in rows] == [(str(one.purpose), one.job) for one in PERIODIC]
    assert all("no result yet" in one.detail for one in rows)
    failed = JobRunFactory(name="core.purge", state="failed", problem="ValueError: no\nmore", milliseconds=1200)
    Schedule.objects.filter(name="core.purge").update(task=failed.key, next_run=timezone.now() - timedelta(hours=1))
    purge = row(administrator, "schedules", "Throw away records that were kept long enough")
    assert labels(purge) == ["overdue", "failed, tried again"]
    assert "cron 20 3 * * *" in purge.detail
    assert purge.detail.endswith("ValueError: no")
    assert (purge.figure, purge.url) == ("1,200 ms", reverse("admin:core_jobrun_change", args=[failed.pk]))
    assert "every 1 minute ·" in row(administrator, "schedules", "Dispatch tasks whose dispatch was lost").detail


def test_a_long_problem_ends_with_a_sign_where_it_was_cut(administrator):
    JobRunFactory(state="dead", problem="word " * 100)
    (one,) = panel(administrator, "failures").rows
    assert one.detail.endswith("…")


def test_jobs_that_went_wrong_can_be_tried_again_from_here(administrator):
    dead, _done = JobRunFactory(state="dead", problem="Boom."), JobRunFactory(state="done")
    JobRunFactory(state="running")
    (one,) = panel(administrator, "failures").rows
    assert (labels(one), "Boom." in one.detail) == (["given up"], True)
    client = client_of(administrator)
    assert one.move[1] in client.get(PAGE).content.decode()
    assert client.post(one.move[1]).status_code == 302
    dead.refresh_from_db()
    assert dead.state == "retried"
    counts = {figure.label: figure.count for figure in overview.content(administrator)["figures"]}
    assert (counts["Jobs waiting"], counts["Jobs running"], counts["Jobs given up"]) == (1, 1, 0)


def test_what_waits_is_counted_and_linked_for_who_may_look(shop, administrator):
    ScanFactory(outcome="received")
    ScanFactory(outcome="applied")
    TaskFactory(status="pending", department=None)

    def figures(user):
        return {figure.label: figure for figure in overview.content(user)["figures"]}

    found = figures(administrator)
    assert (found["Undispatched tasks"].count, found["Scans not yet applied"].count) == (1, 1)
    assert (found["Undispatched tasks"].url, found["Scans not yet applied"].url) == ("", "")
    assert figures(shop.people["superuser"])["Undispatched tasks"].url == "/admin/workorders/task/?undispatched=yes"


def test_backups_with_the_last_proof_and_rehearsal(administrator):
    assert labels(row(administrator, "backups", "Last proof")) == ["never"]
    proved = BackupFactory(state="proved", started_at=timezone.now() - timedelta(hours=3))
    BackupFactory(state="failed", problem="The disk is full.")
    last = row(administrator, "backups", "Last proof")
    assert (labels(last), last.detail) == (["on this machine only"], "taken 3\xa0hours ago")
    assert last.url == reverse("admin:ops_backup_change", args=[proved.pk])
    assert labels(row(administrator, "backups", "Last rehearsal of a restore")) == ["due"]
    assert panel(administrator, "backups").rows[2].detail.endswith("The disk is full.")
    Backup.objects.filter(pk=proved.pk).update(copied_at=timezone.now(), drilled_at=timezone.now() - timedelta(days=1))
    assert labels(row(administrator, "backups", "Last proof")) == ["copied off site"]
    assert labels(row(administrator, "backups", "Last rehearsal of a restore")) == []


def test_the_clock_that_is_most_wrong_comes_first(administrator):
    DeviceFactory(name="right", clock_offset_ms=-900, last_seen_at=timezone.now() - timedelta(hours=2))
    DeviceFactory(name="slow", clock_offset_ms=-3_600_000)
    DeviceFactory(name="silent")
    DeviceFactory(name="gone", clock_offset_ms=9_999_999, revoked_at=timezone.now())
    rows = panel(administrator, "clocks").rows
    assert [one.title for one in rows] == ["slow", "right", "silent"]
    assert [one.labels for one in rows] == [(("1\xa0hour slow", "warning"),), (("right", "success"),), (("clock not told", ""),)]
    assert rows[1].detail.endswith("seen 2\xa0hours ago")
    assert rows[2].detail.endswith("never seen")


@pytest.mark.parametrize(("free", "said"), [(0.05, [("nearly full", "danger")]), (0.5, [("nearly full", "warning")]), (5, [])])
def test_the_room_on_each_disk(administrator, tmp_path, monkeypatch, free, said):
    usage = SimpleNamespace(total=100 * GIGABYTE, free=int(free * GIGABYTE))
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    with override_settings(DOCKET_BACKUP_DIR=tmp_path / "not" / "yet"):
        one = row(administrator, "disks", "Backups")
    assert [*one.labels] == said
    assert one.detail.endswith(str(tmp_path / "not" / "yet"))
    assert "of 100.0\xa0GB are free" in one.detail
    database = row(administrator, "disks", "Database")
    assert bool(database.figure) is (connection.vendor == "postgresql")


def test_versions_and_what_the_database_lacks(administrator):
    titles = [one.title for one in panel(administrator, "versions").rows]
    assert {"Docket", "Django", "Python"} < set(titles)
    assert labels(row(administrator, "versions", "Migrations")) == ["all applied"]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'core' AND name = '0001_initial'")
    missing = row(administrator, "versions", "Migrations")
    assert (labels(missing), missing.detail) == (["1 not applied"], "core.0001_initial and what follows. Run: manage.py migrate")


def test_the_revision_is_that_of_the_checkout(tmp_path, monkeypatch):
    assert overview.revision(tmp_path) == ""
    who = ["-c", "user.name=Docket", "-c", "user.email=founders@docket.invalid"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "One"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (tmp_path / "inner").mkdir()
    assert overview.revision(tmp_path / "inner") == ""
    overview.revision.cache_clear()
    assert re.fullmatch("[0-9a-f]{12}", overview.revision(tmp_path))
    overview.revision.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    assert overview.revision(tmp_path) == ""
    overview.revision.cache_clear()


def test_the_page_speaks_chinese(administrator):
    client = client_of(administrator)
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "zh-hans"
    text = client.get(PAGE).content.decode()
    for words in ("运行状况", "后台任务进程", "版本"):
        assert words in text


# The banner.


def said_to(user, address="/admin/"):
    cache.delete("ops.trouble")
    text = client_of(again(user)).get(address).content.decode()
    found = re.search(r'docket-banner" role="alert">(.*?)</div>', text, re.DOTALL)
    return found[1] if found else ""


def test_every_page_of_the_admin_says_what_is_down_to_those_in_charge(shop, administrator):
    for user in (administrator, shop.people["superuser"]):
        links = [item["link"] for group in pages(user) for item in group["items"]]
        for link in [*links, reverse("dashboard:account"), reverse("admin:password_change"), reverse("admin:accounts_user_add")]:
            said = said_to(user, link)
            assert "The worker is down" in said, link
            assert f'href="{PAGE}"' in said
    for name in ("maker", "supervisor", "auditor", "planner", "operator"):
        assert said_to(shop.people[name]) == ""


def test_nothing_is_said_while_all_is_well(administrator):
    run("core.heartbeat")
    BackupFactory(state="proved")
    assert said_to(administrator) == ""


def test_a_backup_is_unproved_when_it_failed_hangs_or_is_old():
    run("core.heartbeat")
    now = timezone.now()
    assert trouble() == []  # new: the first night is still to come
    one = BackupFactory(state="made", started_at=now - timedelta(minutes=5))
    assert trouble(fresh=True) == []  # being proved
    for values, said in (
        ({"started_at": now - timedelta(hours=3)}, ["backup"]),
        ({"state": "failed"}, ["backup"]),
        ({"state": "proved"}, []),
        ({"started_at": now - timedelta(hours=37)}, ["backup"]),
    ):
        Backup.objects.filter(pk=one.pk).update(**values)
        assert trouble(fresh=True) == said
    Backup.objects.all().delete()
    assert unproved_since() < timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET applied = %s", [now - timedelta(hours=37)])
    assert trouble(fresh=True) == ["backup"]


def test_a_copy_that_is_held_says_so_and_not_that_its_worker_is_down():
    HoldFactory()
    assert trouble() == ["held"]


def test_the_banner_asks_the_database_once_for_many_pages():
    with count_queries(5):
        assert trouble() == ["worker"]
    with count_queries(0):
        assert trouble() == ["worker"]
    run("core.heartbeat")
    assert trouble(fresh=True) == []
    assert trouble() == []


def test_a_cache_on_a_full_disk_stops_no_page(tmp_path: Path):
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    (tmp_path / "cache").write_text("a file is where the folder should be")
    with override_settings(CACHES={"default": {"BACKEND": backend, "LOCATION": tmp_path / "cache" / "docket"}}):
        assert trouble() == ["worker"]
