"""Asks the application of this container whether it is alive; `docker ps` shows the answer. Exit code 1: no."""

import sys
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from project import env

host = env.words("ALLOWED_HOSTS", "localhost")[0].lstrip(".")
request = Request(f"http://127.0.0.1:{env.number('PORT', 8000)}/health/", headers={"Host": host})
try:
    build_opener(ProxyHandler({})).open(request, timeout=8).close()
except OSError as error:
    sys.exit(f"Docket does not answer: {error}")
