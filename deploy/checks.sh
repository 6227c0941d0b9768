#!/usr/bin/env bash
# What production promises and a machine can check by itself. Prints PASS, FAIL or SKIP with the number of each promise; ends with 1
# where one fails. Run it from the checkout: deploy/checks.sh
set -uo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
key=$($python -c 'import secrets; print(secrets.token_urlsafe(50))')
failed=0

say() { printf '%-4s %s\n' "$1" "$2"; }
verdict() { if "${@:2}" >"$folder/out" 2>&1; then say PASS "$1"; else say FAIL "$1"; failed=1; fi; }
production() {
    env -i PATH="$PATH" HOME="$HOME" DOCKET_VAR_DIR="$folder" DJANGO_SECRET_KEY="$key" ALLOWED_HOSTS=docket.test \
        CORS_ALLOWED_ORIGINS=https://docket.test "$@"
}
# A bad value ends the start with a sentence that names the variable.
refuses() {
    local name=$1
    shift
    ! production "$@" >"$folder/said" 2>&1 && grep -q "$name" "$folder/said" && ! grep -q Traceback "$folder/said"
}
setting() { production $python -W ignore manage.py shell -v 0 -c "from django.conf import settings as s; raise SystemExit(0 if ($1) else 1)"; }
configured() { $python -c "import runpy, sys; sys.exit(not ($1))"; }
valid() { local file; for file in "$@"; do bash -n "$file" || return; done; }
all_have() { ! grep -L "$1" "${@:2}" | grep -q .; }
no_secret() { ! git grep -nIE "(SECRET_KEY|PASSWORD|TOKEN) *= *['\"][^'\"]{8,}" -- ':!tests' ':!*.md' ':!.ci' | grep -v -e noqa -e '\$(PYTHON)'; }

verdict "1 DEBUG is off when nothing is said" setting "s.DEBUG is False"
verdict "2 only true and false are words for DEBUG" refuses DEBUG env DEBUG=maybe $python manage.py check
verdict "3 no start without a secret key" refuses DJANGO_SECRET_KEY env DJANGO_SECRET_KEY= $python manage.py check
verdict "4 no secret in the tree" no_secret
verdict "5 no start without host names" refuses ALLOWED_HOSTS env ALLOWED_HOSTS= $python manage.py check
verdict "5 no start with every host name" refuses ALLOWED_HOSTS env 'ALLOWED_HOSTS=*' $python manage.py check
verdict "6 no start without origins" refuses CORS_ALLOWED_ORIGINS env CORS_ALLOWED_ORIGINS= $python manage.py check
verdict "8 half a PostgreSQL is refused" refuses POSTGRES_PASSWORD env POSTGRES_USER=x $python manage.py check
verdict "10 connections are kept for 600 s" setting "s.DATABASES['default']['CONN_MAX_AGE'] == 600"
verdict "16 Django's deployment check is clean" production $python -W ignore manage.py check --deploy --fail-level WARNING
verdict "18 HSTS for a year" setting "s.SECURE_HSTS_SECONDS == 31536000"
verdict "19 no proxy is believed unless it is declared" setting "s.SECURE_PROXY_SSL_HEADER is None"
verdict "20-21 cookies are secure, closed to scripts, lax" \
    setting "s.SESSION_COOKIE_SECURE and s.SESSION_COOKIE_HTTPONLY and s.CSRF_COOKIE_SECURE and s.CSRF_COOKIE_HTTPONLY and s.SESSION_COOKIE_SAMESITE == 'Lax'"
verdict "33 a container without a key ends with a sentence" refuses DJANGO_SECRET_KEY env DJANGO_SECRET_KEY= deploy/entrypoint.sh web
verdict "34 a database that never answers ends the start" refuses database \
    env DATABASE_URL=postgresql://nobody:nothing@127.0.0.1:9/none $python manage.py wait_for_database --tries 2
verdict "38 scripts are valid" valid deploy/*.sh
verdict "47 gunicorn's settings are valid" production .venv/bin/gunicorn --check-config -c deploy/gunicorn.conf.py project.wsgi
verdict "58 other loggers stay" setting "s.LOGGING['disable_existing_loggers'] is False"
verdict "62, 65 the queue fetches nothing early and repeats nothing that runs" production $python -W ignore manage.py check
verdict "66 a worker is renewed after 100 jobs" setting "s.Q_CLUSTER['recycle'] == 100"
verdict "85 KillMode=mixed in every unit" all_have KillMode=mixed deploy/systemd/*.service
verdict "86 units start after network and database" all_have '^After=.*postgresql' deploy/systemd/*.service
say SKIP "26-32 the image and compose: where Docker is; the test suite holds what they name against the tree (tests/deploy/test_deploy.py)"
say SKIP "36 one of several that start at once migrates: the test suite (tests/ops/test_commands.py)"
say SKIP "72-81 nginx: the test suite reads its file wherever nginx is (tests/deploy/test_deploy.py)"
if command -v systemd-analyze >/dev/null; then
    verdict "88 the timer's line is one" systemd-analyze calendar '*-*-* 12:30:00'
else
    say SKIP "88 the timer's line: there is no systemd-analyze here"
fi
if command -v promtool >/dev/null; then
    verdict "54 the alerts are valid" promtool check rules deploy/prometheus/alerts.yml
else
    say SKIP "54 the alerts: there is no promtool here (apt-get install prometheus); the test suite holds them against /metrics"
fi
say SKIP "89-98 backups: the test suite makes, spoils, proves and restores them (tests/ops/test_backups.py, test_restore.py, test_archives.py)"
exit $failed
