"""What a monitor reads, who may, and the alerts that stand on it."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from apps.accounts.services import BadCredentials, sign_in
from apps.core.jobs import run
from apps.ops import metrics
from tests.factories import BackupFactory, HoldFactory, JobRunFactory, ScanFactory
from tests.personas import client_of

pytestmark = pytest.mark.django_db
ROOT = Path(settings.BASE_DIR)


def figures() -> dict[str, float]:
    rows = [line for line in metrics.text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z_]+(\{[a-z]+="[\w.]+"\})? -?[\d.]+', row) for row in rows)
    return {name: float(value) for name, value in (row.rsplit(" ", 1) for row in rows)}


def test_without_a_token_there_is_no_such_address(client):
    assert client.get("/metrics").status_code == 404


@override_settings(DOCKET_METRICS_TOKEN="the monitor's", SECURE_SSL_REDIRECT=True)
def test_only_the_monitor_reads_them(client):
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer ünd"}).status_code == 403
    answer = client.get("/metrics", headers={"Authorization": "Bearer the monitor's"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'docket_info{version="1.0.0"} 1' in answer.content.decode()
    assert client.post("/metrics", headers={"Authorization": "Bearer the monitor's"}).status_code == 405


def test_an_empty_installation_has_figures():
    found = figures()
    assert found["docket_database_up"] == 1
    assert found["docket_backup_age_seconds"] == found["docket_worker_beat_age_seconds"] == -1
    assert found["docket_queue_age_seconds"] == found["docket_sign_ins_refused_total"] == 0


def test_the_figures_are_those_of_the_tables(shop):
    ScanFactory(outcome="refused")
    ScanFactory(outcome="refused", received_at=timezone.now() - timedelta(hours=25))
    JobRunFactory(state="dead")
    BackupFactory(state="proved", started_at=timezone.now() - timedelta(hours=2))
    BackupFactory(state="failed")
    run("core.heartbeat")
    HoldFactory()
    for _ in range(2):
        with pytest.raises(BadCredentials):
            sign_in("maker", "wrong", "10.0.0.1")
    found = figures()
    assert found['docket_scans_last_day{outcome="refused"}'] == 1
    assert (found["docket_jobs_given_up"], found['docket_jobs_last_day{state="dead"}']) == (1, 1)
    assert 7200 <= found["docket_backup_age_seconds"] < 7260
    assert (found["docket_backup_failed"], found["docket_held"], found["docket_sign_ins_refused_total"]) == (1, 1, 2)
    assert 0 <= found["docket_worker_beat_age_seconds"] < 60


def test_a_database_that_does_not_answer_is_a_figure():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_tally RENAME TO core_tally_away")
    assert "docket_database_up 0" in metrics.text()


def test_every_alert_watches_a_figure_and_has_a_runbook():
    rules = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    exported = {name.partition("{")[0] for name in figures()}
    assert set(re.findall(r"\bdocket_\w+", rules)) <= exported
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) == len(set(alerts)) == rules.count("runbook:") > 5
    told = re.findall(r"^### (Docket\w+)$", (ROOT / "project/docs/operations.md").read_text(), re.MULTILINE)
    assert told == alerts
    assert re.findall(r"operations\.md#(\w+)", rules) == [name.lower() for name in alerts]


def test_every_panel_of_the_dashboard_shows_a_figure():
    panels = json.loads((ROOT / "deploy/grafana/docket.json").read_text())["panels"]
    shown = {name for panel in panels for target in panel["targets"] for name in re.findall(r"\bdocket_\w+", target["expr"])}
    exported = {name.partition("{")[0] for name in figures()} - {"docket_info"}
    assert shown == exported


def test_people_in_charge_see_above_their_home_page_what_is_down(administrator, maker):
    def says(user):
        cache.delete("ops.trouble")
        return [
            words
            for words in ("The worker is down", "not proved", "restored copy")
            if words in client_of(user).get("/admin/").content.decode()
        ]

    assert says(maker) == []
    assert says(administrator) == ["The worker is down"]
    run("core.heartbeat")
    assert says(administrator) == []
    BackupFactory(state="failed")
    assert says(administrator) == ["not proved"]
    HoldFactory()
    assert says(administrator) == ["not proved", "restored copy"]
    assert says(maker) == []
