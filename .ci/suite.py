"""The whole test suite, on each database that is there; what `make test` runs.

SQLite always. PostgreSQL where a server answers at DOCKET_TEST_POSTGRES, which DOCKET_REQUIRE_POSTGRES=1 insists on; tests that are
marked `once` say the same whatever the database, and are not run again there.
Browser tests where there is a chromium, which DOCKET_REQUIRE_BROWSER=1 insists on. Tests that read printed paper where poppler
and zbar are, which DOCKET_REQUIRE_PAPER=1 insists on. Backups of PostgreSQL where its own programs are, which
DOCKET_REQUIRE_PG_DUMP=1 insists on. Coverage of the runs on SQLite together has a floor.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[1]
POSTGRES = os.environ.get("DOCKET_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/docket")
LINES, BRANCHES = 95.0, 90.0
NO_TESTS = 5  # pytest's exit code
PAPER_TOOLS = "apt-get install poppler-utils poppler-data zbar-tools fonts-noto-cjk"


def is_wanted(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes")


def say(text: str) -> None:
    print(text, flush=True)


def why_no_postgres() -> str:
    """Empty where a server answers."""
    try:
        # The database of the address need not exist: the tests make their own beside it.
        psycopg.connect(POSTGRES, dbname="postgres", connect_timeout=5).close()
    except psycopg.Error as error:
        return str(error).strip().splitlines()[-1]
    return ""


def reads_paper() -> bool:
    """Whether printed pages can be rendered, Chinese too, and their codes read."""
    tools = ("pdftoppm", "pdftotext", "pdfinfo", "zbarimg")
    return all(map(shutil.which, tools)) and Path("/usr/share/poppler").exists()


def pytest(name: str, database: str, folder: Path, *options: str) -> bool:
    """One run of the suite in a process of its own. True when it passed. Counting what is covered takes a quarter of the time more."""
    environment = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "DOCKET_VAR_DIR", "DEBUG")}
    environment |= {"COVERAGE_FILE": str(folder / f"coverage.{name}"), "DATABASE_URL": database, "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "pytest", *options, *(() if database else ("--cov", "--cov-report="))]
    say(f"\n== {name}: {' '.join(command[3:])}")
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    return code in (0, NO_TESTS)


def is_covered(folder: Path) -> bool:
    """Combine what the runs covered, and hold it against the floor."""
    report = folder / "coverage.json"
    tool = [sys.executable, "-m", "coverage"]
    environment = {**os.environ, "COVERAGE_FILE": str(folder / "combined")}
    files = [str(path) for path in folder.glob("coverage.*")]
    subprocess.run([*tool, "combine", "--quiet", *files], cwd=ROOT, env=environment, check=True)
    subprocess.run([*tool, "report"], cwd=ROOT, env=environment, check=False)
    subprocess.run([*tool, "json", "--quiet", "-o", str(report)], cwd=ROOT, env=environment, check=True)
    totals = json.loads(report.read_text())["totals"]
    lines = 100 * totals["covered_lines"] / totals["num_statements"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    say(f"\nCoverage: {lines:.1f} % of lines (at least {LINES:.0f}), {branches:.1f} % of branches (at least {BRANCHES:.0f}).")
    return lines >= LINES and branches >= BRANCHES


def main() -> int:
    databases = {"sqlite": ""}
    reason = why_no_postgres()
    if not reason:
        databases["postgresql"] = POSTGRES
    elif is_wanted("DOCKET_REQUIRE_POSTGRES"):
        say(f"PostgreSQL is required, and does not answer at {POSTGRES}: {reason}")
        return 1
    has_browser = bool(shutil.which("chromium"))
    if not has_browser and is_wanted("DOCKET_REQUIRE_BROWSER"):
        say("A browser is required, and there is no chromium. On Debian: apt-get install chromium fonts-noto-cjk")
        return 1
    if not reads_paper() and is_wanted("DOCKET_REQUIRE_PAPER"):
        say(f"What reads paper is required, and is not there. On Debian: {PAPER_TOOLS}")
        return 1

    has_pg_dump = bool(shutil.which("pg_dump") and shutil.which("pg_restore"))
    if not has_pg_dump and is_wanted("DOCKET_REQUIRE_PG_DUMP"):
        say("PostgreSQL's own programs are required for backups. On Debian: apt-get install postgresql-client")
        return 1

    ran: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(prefix="docket-coverage-") as name:
        folder = Path(name)
        for database, address in databases.items():
            again = " and not once" if ran else ""
            ran[database] = pytest(database, address, folder, "-n", "2", "-m", f"not browser{again}")
            if has_browser:
                run = f"{database}-browser"
                ran[run] = pytest(run, address, folder, "-p", "no:randomly", "-m", f"browser{again}")
        covered = is_covered(folder)

    say("")
    for run, passed in ran.items():
        say(f"{run}: {'passed' if passed else 'FAILED'}")
    if reason:
        say(f"postgresql: not run, since none answers at {POSTGRES} ({reason})")
    if not has_browser:
        say("browser: not run, since there is no chromium (apt-get install chromium fonts-noto-cjk)")
    if not reads_paper():
        say(f"paper: its tests were skipped, since there is nothing that reads it ({PAPER_TOOLS})")
    if not has_pg_dump:
        say("backups of PostgreSQL: their tests were skipped, since there is no pg_dump (apt-get install postgresql-client)")
    if not covered:
        say("coverage: FAILED")
    return 0 if covered and all(ran.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
