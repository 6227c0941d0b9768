#!/usr/bin/env bash
# Load a running copy of Docket: loadtest/run.sh USERS RATE TIME HOST, as in `loadtest/run.sh 100 10 5m https://copy.example.com`.
# Exit code 0 where the targets are met, 1 where one is missed, 2 where nothing was loaded. HTML and CSV are in $DOCKET_LOAD_REPORT,
# else loadtest/report/. Targets: DOCKET_LOAD_AVG=150 DOCKET_LOAD_P95=400 (ms) DOCKET_LOAD_ERRORS=0.
set -euo pipefail
cd "$(dirname "$0")/.."

users=${1:-100} rate=${2:-10} time=${3:-5m} host=${4:-${DOCKET_LOAD_HOST:-}}
refuse() { echo "loadtest/run.sh: $*" >&2; exit 2; }
[ -n "$host" ] || refuse "say which host, as the fourth word or in DOCKET_LOAD_HOST. 'python -m loadtest.stack -- loadtest/run.sh' starts one."
[[ $users =~ ^[0-9]+$ && $rate =~ ^[0-9]+$ && $time =~ ^[0-9]+[smh]?$ ]] || refuse "USERS and RATE are numbers, TIME is one like 30s or 5m."
[ -x .venv/bin/locust ] || refuse "there is no .venv/bin/locust. 'make test' installs it."
answer=$(curl -ksS --max-time 10 -D - -o /dev/null "${host%/}/health/") || refuse "$host does not answer."
grep -qi '^X-Docket-Loadtest: *yes' <<<"$answer" || refuse "$host does not say X-Docket-Loadtest: yes. Only a copy with DOCKET_LOADTEST=true is loaded."

report=${DOCKET_LOAD_REPORT:-loadtest/report}
mkdir -p "$report"
name="$report/$(date +%Y%m%d-%H%M%S)"
{
    echo "date $(date --iso-8601=seconds)"
    echo "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
    echo "users $users, $rate a second, $time, $host, $(nproc) cores"
} >"$name.txt"
code=0
.venv/bin/locust -f loadtest/locustfile.py --headless -u "$users" -r "$rate" -t "$time" --stop-timeout 20 --host "${host%/}" \
    --html "$name.html" --csv "$name" --only-summary --loglevel WARNING 2>&1 | tee -a "$name.txt" || code=${PIPESTATUS[0]}
echo "The report: $name.html, $name""_stats.csv"
exit "$code"
