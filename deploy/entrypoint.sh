#!/bin/sh
# Starts Docket where a container does: `entrypoint.sh web`, `entrypoint.sh worker`, `entrypoint.sh all`, or any other command as it stands.
# Several may start at once: one prepares the database, the others wait for it (manage.py prepare).
set -eu
umask 077
cd "$(dirname "$0")/.."
[ ! -x .venv/bin/python ] || PATH="$PWD/.venv/bin:$PATH"

case "${1:-web}" in
web) set -- gunicorn -c deploy/gunicorn.conf.py project.wsgi ;;
worker) set -- python manage.py worker ;;
all) set -- honcho --env /dev/null start --no-prefix ;; # both in one container, for platforms that give a disk to one only
*) exec "$@" ;;
esac

say() { echo "docket: $*" >&2; }

say "check the configuration"
python -W ignore manage.py check --deploy
say "wait for the database"
python manage.py wait_for_database
say "migrate, collect static files"
python manage.py prepare
say "serve"
exec "$@"
