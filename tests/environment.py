"""The environment of a test run: set before Django reads its settings. Loaded first, by `-p tests.environment`."""

import os
import tempfile

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
os.environ.setdefault("DEBUG", "true")
os.environ.setdefault("DJANGO_SECRET_KEY", "only-for-tests-" + "x" * 40)
os.environ.setdefault("DOCKET_VAR_DIR", tempfile.mkdtemp(prefix="docket-test-"))
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # one of several processes: each has a folder of its own, as it has a database
    os.environ["DOCKET_VAR_DIR"] += f"/{worker}"
    os.makedirs(os.environ["DOCKET_VAR_DIR"], exist_ok=True)
os.environ.setdefault("LOG_LEVEL", "ERROR")
os.environ.setdefault("PGOPTIONS", "-c synchronous_commit=off")  # a test's database outlives no power cut


def pytest_configure() -> None:
    """Compile the translations, so that tests can speak Chinese. Not earlier: coverage has begun to count by now."""
    from apps.ops.messages import compile_stale

    compile_stale()
