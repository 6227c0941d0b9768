# `make run` starts Docket, `make test` checks it. Everything else serves these two.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# The environment of .env, under whatever the caller has set: PORT=9000 make run.
ENVIRONMENT = given=$$(export -p); set -a; . ./.env; set +a; eval "$$given"; PATH="$$PWD/$(BIN):$$PATH"; export PATH

.PHONY: run manage test faults chaos check lint messages prepare screenshots lock audit
.DEFAULT_GOAL := run

run: .venv/.installed .env
	@$(ENVIRONMENT); \
	manage() { $(BIN)/python manage.py "$$@"; }; \
	manage prepare --demo && \
	echo "Docket answers at http://localhost:$${PORT:-8000}/ (Ctrl-C stops it)" && \
	exec $(BIN)/honcho --env /dev/null start --no-prefix

# Any command of Docket with the settings of .env: make manage ARGS="doctor".
manage: .venv/.installed .env
	@$(ENVIRONMENT); $(BIN)/python manage.py $(ARGS)

prepare: .venv/.installed .env
	@$(ENVIRONMENT); $(BIN)/python manage.py prepare

test: .venv/.installed-dev
	@$(BIN)/python .ci/suite.py

# 10,000 sends of 1,250 scans from 8 handhelds, a third of the replies cut, and again with the server's processes killed every second;
# then 600 damaged backups, and 600 encrypted ones.
faults: .venv/.installed-dev
	@for database in "" "$${DOCKET_TEST_POSTGRES:-postgresql://postgres@127.0.0.1:5432/docket}"; do \
		DATABASE_URL="$$database" DOCKET_FAULT_SENDS=$${DOCKET_FAULT_SENDS:-10000} DOCKET_FAULT_ARCHIVES=$${DOCKET_FAULT_ARCHIVES:-600} \
			$(BIN)/python -m pytest -s tests/floor/test_faults.py tests/ops/test_corrupted_archives.py || exit 1; \
	done

# Ten minutes in which every part is killed, PostgreSQL too, while handhelds work: SECONDS_OF_CHAOS=60 make chaos for one.
chaos: .venv/.installed-dev
	@for database in postgresql sqlite; do \
		$(BIN)/python -m tests.chaos --database $$database --seconds $${SECONDS_OF_CHAOS:-600} || exit 1; \
	done

# What a change must pass besides its tests. Production's settings, in a folder that goes away.
check: lint
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; set -e; \
	production() { env -i PATH="$$PATH" HOME="$$HOME" DOCKET_VAR_DIR="$$folder" ALLOWED_HOSTS=docket.test CORS_ALLOWED_ORIGINS=https://docket.test \
		DJANGO_SECRET_KEY="$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(50))')" $(BIN)/python -W ignore manage.py "$$@"; }; \
	echo "migrations"; production makemigrations --check --dry-run; \
	echo "deployment"; production check --deploy --fail-level WARNING; \
	echo "API schema"; production spectacular --validate --fail-on-warn --file "$$folder/schema.yaml"

lint: .venv/.installed-dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

messages: .venv/.installed-dev .env
	@$(ENVIRONMENT); $(BIN)/python manage.py messages

# The README's two pictures, of a fresh demo in a folder that goes away.
screenshots: .venv/.installed-dev
	@$(BIN)/python -m tests.browser.screenshots

# The versions and hashes that the image installs, of requirements.txt as it stands. What pip is configured with stays out of the file.
lock: .venv/audit/.installed
	@printf '%s\n' "# Made by \`make lock\` of requirements.txt: every package that it brings, by exact version and by the hash of each of its files." \
		"# The image installs this and nothing else. Linux, Python 3.11.3 to 3.13." > requirements.lock.new
	@cp requirements.lock .venv/audit/compiled  # what need not change stays as it is
	@.venv/audit/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --output-file .venv/audit/compiled requirements.txt
	@cat .venv/audit/compiled >> requirements.lock.new && mv requirements.lock.new requirements.lock

# Known holes in what is installed. It asks the registry for advisories: without an answer about every package it fails.
audit: .venv/audit/.installed
	@.venv/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock

.venv/audit/.installed: .venv/.created tests/audit.txt
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check -r tests/audit.txt
	@touch $@

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Docket needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing). Name one: make $(or $(MAKECMDGOALS),run) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.created requirements.txt
	@echo "Installing what Docket runs on"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.installed-dev: .venv/.created requirements.txt tests/requirements.txt
	@echo "Installing what Docket and its tests run on"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@ .venv/.installed

# Written once. It runs like production, but for this machine only and without HTTPS.
.env:
	@umask 077; { \
		echo "DJANGO_SECRET_KEY=$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(50))')"; \
		echo "DEBUG=false"; \
		echo "DOCKET_HTTPS=false"; \
		echo "ALLOWED_HOSTS=localhost,127.0.0.1"; \
		echo "CORS_ALLOWED_ORIGINS=none"; \
		echo "GUNICORN_BIND=127.0.0.1"; \
		echo "PORT=8000"; \
		echo "LOG_FORMAT=plain"; \
	} > .env.new && mv .env.new .env
