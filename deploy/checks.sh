#!/usr/bin/env bash
# What production promises, numbered. PASS and FAIL were tried here and now, on a Docket of its own in a folder that goes away;
# TEST names the test of the suite that tries it; SKIP says why it cannot be tried on this machine. Ends with 1 where one fails.
# Run it from the checkout: deploy/checks.sh
set -uo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python
folder=$(mktemp -d)
web="" proxy=""
stop() {
    [ -z "$proxy" ] || kill "$proxy" 2>/dev/null
    [ -z "$web" ] || kill -TERM "$web" 2>/dev/null
    wait
    rm -rf "$folder"
}
trap stop EXIT
key=$($python -c 'import secrets; print(secrets.token_urlsafe(50))')
failed=0

say() { printf '%-4s %s\n' "$1" "$2"; }
verdict() { if "${@:2}" >"$folder/out" 2>&1; then say PASS "$1"; else say FAIL "$1"; failed=1; fi; }
tested() { say TEST "$1: $2"; }
has() { command -v "$1" >/dev/null; }
clean=(
    env -i PATH="$PWD/.venv/bin:$PATH" HOME="$HOME" DOCKET_VAR_DIR="$folder/var" DJANGO_SECRET_KEY="$key"
    ALLOWED_HOSTS=docket.test,127.0.0.1 CORS_ALLOWED_ORIGINS=https://docket.test
)
production() { "${clean[@]}" "$@"; }
# A bad value ends the start with a sentence that names the variable.
refuses() {
    local name=$1
    shift
    ! production "$@" >"$folder/said" 2>&1 && grep -q "$name" "$folder/said" && ! grep -q Traceback "$folder/said"
}
valid() { local file; for file in "$@"; do bash -n "$file" || return; done; ! has shellcheck || shellcheck --severity=error "$@"; }
all_have() { ! grep -L "$1" "${@:2}" | grep -q .; }
no_secret() { ! git grep -nIE "(SECRET_KEY|PASSWORD|TOKEN) *= *['\"][^'\"]{8,}" -- ':!tests' ':!*.md' ':!.ci' | grep -v -e noqa -e '\$(PYTHON)'; }
# Several lines of one process: "<number and words>|<expression about the settings s>" each.
settings_say() {
    production "$@" $python -W ignore -c '
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
from django.conf import settings as s
for line in sys.stdin.read().splitlines():
    words, _, expression = line.partition("|")
    print(("PASS" if eval(expression) else "FAIL"), words)
' || echo "FAIL the settings cannot be read: $*"
}
gunicorn_says() {
    production "$@" $python -c '
import runpy, sys
c = runpy.run_path("deploy/gunicorn.conf.py")
for line in sys.stdin.read().splitlines():
    words, _, expression = line.partition("|")
    print(("PASS" if eval(expression) else "FAIL"), words)
' || echo "FAIL gunicorn's settings cannot be read: $*"
}
told() { while read -r line; do echo "$line"; [ "${line%% *}" != FAIL ] || failed=1; done; }
free_port() { $python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
within() { local tries=$1; shift; until "$@"; do tries=$((tries - 1)); [ $tries -gt 0 ] || return 1; sleep 0.2; done; }

# -- configuration refuses to start

told < <(settings_say <<'END'
1 DEBUG is off when nothing is said|s.DEBUG is False
10 connections are kept for 600 s, and looked at before use|s.DATABASES["default"]["CONN_MAX_AGE"] == 600
18 HSTS for a year, with subdomains|s.SECURE_HSTS_SECONDS == 31536000 and s.SECURE_HSTS_INCLUDE_SUBDOMAINS and s.SECURE_HSTS_PRELOAD
19 no proxy is believed unless it is declared|s.SECURE_PROXY_SSL_HEADER is None
20 the session's cookie is secure, closed to scripts, lax|(s.SESSION_COOKIE_SECURE, s.SESSION_COOKIE_HTTPONLY, s.SESSION_COOKIE_SAMESITE) == (True, True, "Lax")
21 so is the one of forms|(s.CSRF_COOKIE_SECURE, s.CSRF_COOKIE_HTTPONLY, s.CSRF_COOKIE_SAMESITE) == (True, True, "Lax")
58 loggers of others stay|s.LOGGING["disable_existing_loggers"] is False
66 a worker is renewed after 100 jobs|s.Q_CLUSTER["recycle"] == 100
END
)
verdict "2 only true and false are words for DEBUG" refuses DEBUG env DEBUG=maybe $python manage.py check
verdict "3 no start without a secret key: commands" refuses DJANGO_SECRET_KEY env DJANGO_SECRET_KEY= $python manage.py check
verdict "3 nor of the web" refuses DJANGO_SECRET_KEY env DJANGO_SECRET_KEY= gunicorn -c deploy/gunicorn.conf.py project.wsgi
verdict "3 nor of the worker" refuses DJANGO_SECRET_KEY env DJANGO_SECRET_KEY= $python manage.py worker
verdict "4 no secret in the tree" no_secret
verdict "5 no start without host names" refuses ALLOWED_HOSTS env ALLOWED_HOSTS= $python manage.py check
verdict "5 nor with every host name" refuses ALLOWED_HOSTS env 'ALLOWED_HOSTS=*' $python manage.py check
verdict "6 no start without origins" refuses CORS_ALLOWED_ORIGINS env CORS_ALLOWED_ORIGINS= $python manage.py check
told < <(settings_say POSTGRES_USER=u 'POSTGRES_PASSWORD=p@ss:/#%' POSTGRES_DB=d POSTGRES_SSLMODE=require <<'END'
7 PostgreSQL by its parts, whatever is in the password|(s.DATABASES["default"]["PASSWORD"], s.DATABASES["default"]["HOST"], str(s.DATABASES["default"]["PORT"])) == ("p@ss:/#%", "localhost", "5432")
9 no connection waits longer than 10 s, and TLS can be asked for|(s.DATABASES["default"]["OPTIONS"]["connect_timeout"], s.DATABASES["default"]["OPTIONS"]["sslmode"]) == (10, "require")
END
)
told < <(settings_say DATABASE_URL='postgresql://u:p%40ss%3A%2F%23%25@db/d' POSTGRES_USER=x POSTGRES_PASSWORD=y POSTGRES_DB=z <<'END'
7 DATABASE_URL wins|(s.DATABASES["default"]["HOST"], s.DATABASES["default"]["PASSWORD"]) == ("db", "p@ss:/#%")
END
)
verdict "8 half a PostgreSQL is refused" refuses POSTGRES_PASSWORD env POSTGRES_USER=x $python manage.py check
verdict "11, 16, 62, 65 Django's and our own deployment checks are clean, without Redis" \
    production REDIS_URL= $python -W ignore manage.py check --deploy --fail-level WARNING
told < <(settings_say REDIS_URL=redis://127.0.0.1:1/0 <<'END'
13 Redis has 5 s, a prefix, and 300 s of life for what is in it|(lambda c: (c["OPTIONS"]["socket_timeout"], c["OPTIONS"]["socket_connect_timeout"], c.get("TIMEOUT", 300), bool(c["KEY_PREFIX"])) == (5, 5, 300, True))(s.CACHES["default"])
END
)
tested "14 the page of variables names each, and no other" tests/project/test_env_page.py::test_the_page_names_every_variable_and_no_other

# -- scripts, gunicorn

verdict "26 the image is built in two stages" test "$(grep -c ^FROM deploy/Dockerfile)" = 2
tested "28 the image's last user is not root, and compose closes its containers" tests/deploy/test_deploy.py::test_compose_starts_docket_closed
say SKIP "27, 29-31 what is in the image, its size and health, compose: where Docker is; tests/deploy/test_deploy.py holds what they name against the tree"
verdict "33 a container without a key ends with a sentence" refuses DJANGO_SECRET_KEY env DJANGO_SECRET_KEY= deploy/entrypoint.sh web
verdict "34 a database that never answers ends the start" refuses database \
    env DATABASE_URL=postgresql://nobody:nothing@127.0.0.1:9/none $python manage.py wait_for_database --tries 2
tested "34 one that answers late is waited for" tests/ops/test_commands.py::test_waiting_ends_when_the_database_answers
tested "36 of several that start at once one migrates" tests/ops/test_commands.py::test_of_two_that_prepare_at_once_one_waits_for_the_other
verdict "38 scripts are valid" valid deploy/*.sh
told < <(gunicorn_says GUNICORN_WORKERS=3 GUNICORN_BIND=127.0.0.1:9 GUNICORN_TIMEOUT=31 GUNICORN_GRACEFUL_TIMEOUT=32 <<'END'
39 the environment says how many processes|c["workers"] == 3
40 and where they listen|c["bind"] == "127.0.0.1:9"
41 and how long a request may take|c["timeout"] == 31
42 and how long a stop waits for it|c["graceful_timeout"] == 32
43 a process is renewed now and then, not all at once|c["max_requests"] > 0 and c["max_requests_jitter"] == c["max_requests"] // 10
44 connections are kept for 2 s, and 2048 may wait|(c["keepalive"], c["backlog"]) == (2, 2048)
END
)
verdict "47 gunicorn's settings are valid" production gunicorn --check-config -c deploy/gunicorn.conf.py project.wsgi

# -- a web of its own, as a container starts it: production settings, SQLite, and a Redis that is down

port=$(free_port)
site=http://127.0.0.1:$port
"${clean[@]}" PORT="$port" GUNICORN_BIND=127.0.0.1 DOCKET_BEHIND_PROXY=true DOCKET_METRICS_TOKEN=checks-checks-checks REDIS_URL=redis://127.0.0.1:1/0 \
    LOG_STREAM=stdout deploy/entrypoint.sh web >"$folder/web.log" 2>&1 &
web=$!
ask() { curl -sS --max-time 20 -H 'Host: docket.test' -H 'X-Forwarded-Proto: https' "$@"; }
code() { ask -o /dev/null -w '%{http_code}' "$@"; }
answers() { [ "$(code "$1" 2>/dev/null)" = "$2" ]; }
count() { ask -D - -o /dev/null "$1" | grep -ciE "$2"; }
each_once() { local path; for path in / /admin/login/ /health/ /api/tasks/ /static/none.css /none; do [ "$(count "$1$path" "$2")" = 1 ] || return 1; done; }
names() { ask "$site/health/ready/" | grep -q "$1"; }
a_static_file() { (cd "$folder/var/static" && find . -name '*.css' | grep -E '\.[0-9a-f]{12}\.css$' | head -n 1); }
json_lines() { grep -v '^docket:' "$folder/web.log" | tail -n 20 | grep -a '^{' | jq -es 'length > 5' ; }
in_log() { grep -qE "$1" "$folder/web.log"; }

verdict "15, 35 the web starts on PORT, and without the Redis that it was promised" within 900 answers "$site/health/" 200
verdict "5 a strange host name is refused" test "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Host: evil.test' -H 'X-Forwarded-Proto: https' "$site/admin/login/")" = 400
verdict "6 a strange origin is told nothing" test "$(ask -D - -o /dev/null -H 'Origin: https://evil.test' "$site/api/tasks/" | grep -ci access-control-allow-origin)" = 0
verdict "12 pages answer while Redis is down" answers "$site/admin/login/" 200
verdict "17 plain HTTP is sent to HTTPS" test "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Host: docket.test' "$site/admin/")" = 301
verdict "17 but not health, which is asked on the machine itself" test "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Host: docket.test' "$site/health/")" = 200
verdict "18 HSTS is sent" test "$(count "$site/admin/login/" '^strict-transport-security: max-age=31536000')" = 1
verdict "22 nosniff on every answer" each_once "$site" '^x-content-type-options: nosniff'
verdict "23 one X-Frame-Options on every answer" each_once "$site" '^x-frame-options: deny'
tested "25 no form without its token" tests/security/test_requests.py::test_a_form_without_its_token_is_refused_with_a_sentence
tested "25 no text is taken for markup" tests/security/test_requests.py::test_no_page_takes_a_text_for_markup
verdict "37 the start checks, waits, migrates, serves, in this order" \
    test "$(grep -oE '^docket: (check|wait|migrate|serve)' "$folder/web.log" | cut -d' ' -f2 | uniq | paste -sd,)" = check,wait,migrate,serve
verdict "49 ready says what is missing: here the worker" names '"worker": *"[^o]'
verdict "49 and the deployment is not ready without it" answers "$site/health/ready/" 503
tested "49 alive needs no database" tests/ops/test_health.py::test_alive_needs_no_database
verdict "51 the monitor gets figures" test "$(ask -H 'Authorization: Bearer checks-checks-checks' "$site/metrics" | grep -c '^docket_')" -gt 20
verdict "52 and nobody else does" test "$(code "$site/metrics")" != 200
tested "54 every alert watches a figure and has a runbook" tests/ops/test_metrics.py::test_every_alert_watches_a_figure_and_has_a_runbook
unloaded() { ! production $python -W ignore -X importtime manage.py check 2>&1 | grep -q sentry_sdk; }
tested "55 the dashboard shows every figure" tests/ops/test_metrics.py::test_every_panel_of_the_dashboard_shows_a_figure
verdict "56 Sentry is not even loaded where none is named" unloaded
tested "56 and is told nothing of people" tests/project/test_faults.py::test_a_fault_is_reported_without_a_word_about_people
verdict "57 a request keeps its id" test "$(ask -D - -o /dev/null -H 'X-Request-ID: checks-57' "$site/api/tasks/" | grep -ci '^x-request-id: checks-57')" = 1
verdict "57 in the log too" within 20 in_log checks-57
tested "57 and in history and events" tests/core/test_middleware.py::test_the_whole_site_answers_with_the_id
verdict "45 the access line has the duration and the request" within 20 in_log ' ms from .* request checks-57'
if has jq; then verdict "58 the log is JSON, a line each" json_lines; else say SKIP "58 the log is JSON: there is no jq here"; fi
say SKIP "59 files of logs: the log goes to stdout or stderr; journald or the aggregator keeps and turns it"
verdict "60 mail to the administrators can be tried" production DOCKET_ADMINS=ops@docket.test $python -W ignore manage.py sendtestemail --admins
if [ -x .venv/bin/locust ]; then
    user_classes() { .venv/bin/locust -f loadtest/locustfile.py --list | grep -cE '^ +(Office|Supervisor|Operator|Scanner|Maker)'; }
    verdict "106 five kinds of users load it" test "$(user_classes 2>/dev/null)" = 5
    loaded_by_mistake() { loadtest/run.sh 1 1 1s "$site"; test $? -eq 2; }
    verdict "109 a site that is no copy for load tests is not loaded" loaded_by_mistake
else
    say SKIP "106, 109 the load test: there is no locust here (make test installs it)"
fi
say SKIP "107, 108, 110, 111 100 users for five minutes: by hand, python -m loadtest.stack --tasks 200000 -- loadtest/run.sh 100 10 5m"
tested "112 the pipeline runs the load test and keeps its report" tests/deploy/test_deploy.py::test_the_pipeline_starts_what_is_there
static_file=$(a_static_file)
verdict "78, 83 static files are compressed, and kept for ever by their hash" \
    test "$(ask -D - -o /dev/null -H 'Accept-Encoding: gzip' "$site/static/$static_file" | grep -ciE '^(content-encoding: gzip|cache-control: .*immutable)')" = 2
verdict "83 a file that is not there is a 404" answers "$site/static/none.css" 404

# -- nginx in front of it, with a certificate of its own

if has nginx && has openssl; then
    plain=$(free_port) secure=$(free_port)
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=docket.test \
        -keyout "$folder/privkey.pem" -out "$folder/fullchain.pem" 2>/dev/null
    sed -E -e "s/web:8000/127.0.0.1:$port/" -e "s#/etc/nginx/tls#$folder#" -e '/listen \[::\]/d' \
        -e "s/listen 80 /listen 127.0.0.1:$plain /" -e "s/listen 443 /listen 127.0.0.1:$secure /" deploy/nginx.conf >"$folder/site.conf"
    printf 'daemon off; pid %s/pid; error_log %s/nginx.log; events {} http { access_log off; %s include %s/site.conf; }\n' "$folder" "$folder" \
        "client_body_temp_path $folder/body; proxy_temp_path $folder/proxy; fastcgi_temp_path $folder/f; uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;" \
        "$folder" >"$folder/nginx.conf"
    front=https://docket.test:$secure
    through() { curl -sS --max-time 20 -k --resolve "docket.test:$secure:127.0.0.1" --resolve "docket.test:$plain:127.0.0.1" "$@"; }
    through_code() { through -o /dev/null -w '%{http_code}' "$@"; }
    says() { [ "$(through_code "$1" 2>/dev/null)" = "$2" ]; }
    once_through() { local path; for path in / /admin/login/ /health/ /api/tasks/ /static/none.css /none; do
        [ "$(through -D - -o /dev/null "$front$path" | grep -ciE "$1")" = 1 ] || return 1; done; }
    handshake() { openssl s_client -connect "127.0.0.1:$secure" "$@" </dev/null 2>&1 | grep -qE 'Cipher is [A-Z0-9_-]*(GCM|POLY1305|SHA384|SHA256)'; }
    many() { seq 60 | xargs -P 20 -I{} curl -sS -k --max-time 20 --resolve "docket.test:$secure:127.0.0.1" -o /dev/null -w '%{http_code}\n' \
        -H "Authorization: Token caller-{}" "$front/api/tasks/" | grep -cvE '^(429|503)$'; }
    greedy() { seq 300 | xargs -P 20 -I{} curl -sS -k --max-time 20 --resolve "docket.test:$secure:127.0.0.1" -o /dev/null -D - \
        -H 'Authorization: Token one' "$front/static/../api/none/{}" | grep -ciE '^(HTTP/2 429|retry-after: 1)'; }
    through_head() { grep -ciE "$1" deploy/nginx.conf; }
    verdict "74 nginx reads its file" nginx -t -q -c "$folder/nginx.conf"
    nginx -c "$folder/nginx.conf" &
    proxy=$!
    verdict "50 health comes from the application, through nginx" within 50 says "$front/health/" 200
    verdict "72 port 80 leads to 443" test "$(through_code "http://docket.test:$plain/")" = 301
    verdict "73 TLS 1.2 is spoken" handshake -tls1_2
    verdict "73 TLS 1.1 is not" eval '! handshake -tls1_1'
    form() {
        local token
        token=$(through -c "$folder/jar" "$front/admin/login/" | sed -n 's/.*name="csrfmiddlewaretoken" value="\([^"]*\)".*/\1/p' | head -n 1)
        through_code -b "$folder/jar" -H "Origin: $front" -H "Referer: $front/admin/login/" -d "csrfmiddlewaretoken=$token&username=x&password=y" "$front/admin/login/"
    }
    verdict "80 a form comes through on any port, and is read" test "$(form)" = 200
    verdict "24 what a caller says of his address goes no further" eval 'through -o /dev/null -H "X-Forwarded-For: 203.0.113.9" "$front/admin/login/" && ! in_log 203.0.113.9'
    verdict "75 60 callers of one address are all answered" test "$(many)" = 60
    verdict "75 one caller who asks without end is told to wait" test "$(greedy)" -gt 1
    verdict "76 open connections are counted by caller, not by address" test "$(through_head 'limit_conn_zone \$docket_who')" = 1
    verdict "77 a body for the API ends at 2 MB" test "$(head -c 3000000 /dev/zero | through_code --data-binary @- "$front/api/scans/")" = 413
    verdict "79 nosniff on every answer, once" once_through '^x-content-type-options: nosniff'
    verdict "79 X-Frame-Options on every answer, once" once_through '^x-frame-options: deny'
    verdict "80 60 s for an answer" test "$(through_head 'proxy_read_timeout 60s')" = 1
    verdict "81 the freest web is taken, and a dead one left out for 30 s" test "$(through_head 'least_conn;|max_fails=3 fail_timeout=30s')" = 2
else
    say SKIP "24, 50, 72-81 nginx: there is no nginx or no openssl here (apt-get install nginx-light openssl)"
fi
tested "82 pages are told only of what changed; no stream stays open" tests/dashboard/test_home.py::test_the_panels_are_sent_again_only_when_something_changed

# -- reload and stop

unbroken() {
    seq 60 | xargs -P 4 -I{} curl -sS -o /dev/null -w '%{http_code}\n' -H 'Host: docket.test' "$site/health/" >"$folder/codes" 2>&1 &
    local asking=$!
    kill -HUP "$web"
    wait "$asking"
    test "$(grep -c '^200$' "$folder/codes")" = 60
}
verdict "48 a reload loses no request" unbroken
stopped() { kill -TERM "$web"; wait "$web"; }
verdict "32 the web is the process that gets the signal, and stops well" within 1 stopped
web=""
verdict "46 start, readiness, exits and stop are in the log" test "$(grep -oE 'starting|ready at|worker exit|stopping' "$folder/web.log" | sort -u | wc -l)" = 4
[ -z "$proxy" ] || verdict "50 and with the web stopped nginx says so" says "$front/health/" 502
tested "79 what nginx itself refuses says what to do, and runs nothing" \
    tests/deploy/test_deploy.py::test_a_refusal_of_nginx_itself_says_what_to_do_and_runs_nothing

# -- jobs, units, monitor

tested "61 a job is acknowledged after its end" tests/ops/test_worker.py::test_sigterm_lets_the_running_job_finish_and_exits_cleanly
tested "63 a killed worker's work goes on" tests/ops/test_worker.py::test_a_killed_idle_process_holds_the_queue_and_the_cluster_is_replaced
tested "64 the worker outlives its database" tests/ops/test_worker.py::test_the_worker_outlives_a_restart_of_the_database
tested "67 a schedule that was missed runs once" tests/ops/test_schedules.py::test_each_job_is_scheduled_once_and_a_second_run_changes_nothing
tested "68 totals are held against the ledger" tests/ops/test_integrity.py::test_a_broken_row_fails_its_check_and_is_named
tested "69 a job that fails three times is given up, told, and can be tried again" tests/core/test_jobs.py::test_a_job_that_fails_three_times_is_given_up_and_can_be_tried_again
tested "70 a cluster holds no pool of connections" tests/ops/test_commands.py::test_a_cluster_with_a_pool_of_connections_is_refused
tested "71 limits are shared by all processes" tests/core/test_throttle.py::test_parallel_guesses_get_no_more_than_the_burst
tested "84 every unit is closed" tests/ops/test_deploy.py::test_every_unit_is_closed_and_stops_its_children
verdict "85 KillMode=mixed in every unit" all_have KillMode=mixed deploy/systemd/*.service
verdict "86 units start after network and database" all_have '^After=.*postgresql' deploy/systemd/*.service
tested "87 a worker that is silent is replaced" tests/ops/test_worker.py::test_a_killed_idle_process_holds_the_queue_and_the_cluster_is_replaced
if has systemd-analyze; then
    verdict "88 the timer's line is one" systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' deploy/systemd/docket-backup.timer)"
else
    say SKIP "88 the timer's line: there is no systemd-analyze here"
fi
tested "88 the backup runs at two in the night of the shop" tests/ops/test_schedules.py::test_the_backup_runs_at_two_in_the_night_of_the_shop
if has promtool; then
    verdict "53 the monitor's file is valid" promtool check config --syntax-only deploy/prometheus/prometheus.yml
    verdict "54 the alerts are valid" promtool check rules deploy/prometheus/alerts.yml
else
    say SKIP "53, 54 the monitor's files: there is no promtool here (apt-get install prometheus)"
fi

# -- backups, tests, papers

tested "89-91 a backup is one closed file with its manifest" tests/ops/test_backups.py::test_a_backup_is_one_closed_file_that_was_restored_on_trial
tested "92 old ones go, never the last that was proved" tests/ops/test_backups.py::test_old_archives_go_but_never_the_one_that_was_just_proved
tested "93 each is restored on trial" tests/ops/test_backups.py::test_what_is_not_sound_is_not_proved_and_the_old_backups_stay
tested "94 a failure is told" tests/ops/test_backups.py::test_an_alarm_is_mailed_where_mail_is_set_up_and_nothing_is_held
tested "95 the doctor asks for a proof" tests/ops/test_health.py::test_an_old_backup_is_named_and_sends_nobody_away
tested "96 a copy off site that fails is a failure" tests/ops/test_backups.py::test_a_copy_off_site_that_fails_is_a_failure
tested "97 a full disk leaves no half archive" tests/ops/test_backups.py::test_a_full_disk_leaves_no_half_archive
tested "98 an archive of another key is refused" tests/ops/test_archives.py::test_the_archive_of_another_key_is_refused_and_the_key_is_named
verdict "99 coverage has a floor of 95 % of lines and 90 % of branches" grep -q 'LINES, BRANCHES = 95.0, 90.0' .ci/suite.py
tested "100 every model has a factory" tests/architecture/test_house.py::test_every_model_has_one_factory
tested "101 the whole story by its doors" tests/workorders/test_story.py
tested "102 200 rounds of two claims have one winner each" tests/workorders/test_races.py::test_200_rounds_of_two_claims_have_one_winner_each
say TEST "103 any order, in parallel: every run of make test shuffles, two at a time"
tested "104 the schema is whole" tests/api/test_schema.py::test_every_operation_has_words_answers_and_refusals
tested "105 the guide's examples run" tests/floor/test_handhelds_page.py
tested "113 queries are counted, not seconds" tests/workorders/test_admin.py
tested "114 the manual says what stands on the buttons" tests/dashboard/test_manual.py::test_every_label_that_the_manual_names_stands_on_a_page
verdict "115 the guide begins at an empty machine" grep -q "apt-get install -y --no-install-recommends python3-venv" project/docs/deploy.md
tested "118 every alert has a runbook" tests/ops/test_metrics.py::test_every_alert_watches_a_figure_and_has_a_runbook
say SKIP "116 the list of promises is this one; 117 the guide says each step; 119 the exercise is manage.py restore latest --drill, once a month"
tested "120 attacks" tests/security
exit $failed
