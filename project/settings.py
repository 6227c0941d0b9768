"""Docket's settings: one file; the environment decides, and a bad value refuses to start (project/env.py)."""

import sys
from pathlib import Path

from django.utils.translation import gettext_lazy as _

from project import env
from project.unfold import UNFOLD  # noqa: F401  (a setting)

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = env.folder("DOCKET_VAR_DIR", BASE_DIR / "var")
DOCKET_VERSION = "1.0.0"

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text(
    "DJANGO_SECRET_KEY",
    required="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
)
if not DEBUG and (len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5):
    raise env.Refused("DJANGO_SECRET_KEY is shorter than 50 characters, or repeats a few. Make a longer one.")
SECRET_KEY_FALLBACKS = env.words("DJANGO_SECRET_KEY_FALLBACKS")

ALLOWED_HOSTS = env.hosts(
    "ALLOWED_HOSTS",
    "localhost,127.0.0.1,[::1]" if DEBUG else "",
    required="" if DEBUG else "Write the host names that people use, with commas: docket.example.com",
)
_origins = env.words(
    "CORS_ALLOWED_ORIGINS",
    "none" if DEBUG else "",
    required="" if DEBUG else "Write the origins that may call the API from a browser, or 'none'.",
)
CORS_ALLOWED_ORIGINS = [] if _origins == ["none"] else _origins
for _origin in CORS_ALLOWED_ORIGINS:
    if not _origin.startswith(("https://", "http://")) or "*" in _origin or _origin.count("/") > 2:
        raise env.Refused(f"CORS_ALLOWED_ORIGINS has '{_origin}'. Write origins like https://docket.example.com, or 'none'.")
CSRF_TRUSTED_ORIGINS = [origin for origin in CORS_ALLOWED_ORIGINS if "://" in origin]

INSTALLED_APPS = [
    # Ours first: their templates win over unfold's.
    "apps.core",
    "apps.accounts",
    "apps.notices",
    "apps.imports",
    "apps.catalog",
    "apps.dispatch",
    "apps.workorders",
    "apps.scanning",
    "apps.dashboard",
    "apps.ops",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.import_export",
    "unfold.contrib.guardian",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "import_export",
    "guardian",
    "simple_history",
    "django_filters",
    "django_q",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "apps.core.middleware.request_identity",
    "apps.core.csp.content_policy",
    "apps.core.cors.cors",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.accounts.second_factor.second_factor_gate",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "apps.core.middleware.storage_faults",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": env.database(VAR_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_redis = env.address("REDIS_URL", ("redis", "rediss", "unix"))
CACHES = {
    "default": {
        "BACKEND": "apps.core.cache.ForgivingRedisCache",
        "LOCATION": _redis,
        "KEY_PREFIX": "docket",
        "TIMEOUT": 300,
        "OPTIONS": {"socket_connect_timeout": 5, "socket_timeout": 5, "retry_on_timeout": True},
    }
    if _redis
    else {
        # One folder serves every process of this machine; nothing correct depends on it.
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": VAR_DIR / "cache",
        "KEY_PREFIX": "docket",
        "TIMEOUT": 300,
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.backends.RoleBackend", "guardian.backends.ObjectPermissionBackend"]
ANONYMOUS_USER_NAME = None
PASSWORD_HASHERS = [
    "apps.accounts.hashing.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_ENGINE = "apps.accounts.sessions"
SESSION_COOKIE_AGE = env.number("DOCKET_SESSION_HOURS", 12, low=1, high=720) * 3600

LANGUAGE_CODE = env.choice("DOCKET_LANGUAGE", "en", ("en", "zh-hans"))
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "project" / "locale"]
TIME_ZONE = env.time_zone("DOCKET_TIME_ZONE", "Asia/Shanghai")
FORMAT_MODULE_PATH = "project.formats"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "project" / "static"]
MEDIA_ROOT = VAR_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Uploaded files: outside any served folder, readable by the server only.
    "private": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "private", "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage" if DEBUG else "apps.core.statics.HashedFiles"},
}
WHITENOISE_MAX_AGE = 30 * 24 * 3600
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_HANDLERS = ["apps.imports.uploads.CappedUpload"]

# HTTPS is the rule; a machine that only answers its own shop floor can say DOCKET_HTTPS=false.
_https = env.flag("DOCKET_HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = env.number("DOCKET_HSTS_SECONDS", 31536000 if _https else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("DOCKET_BEHIND_PROXY") else None
TRUSTED_PROXIES = env.number("DOCKET_TRUSTED_PROXIES", 1 if SECURE_PROXY_SSL_HEADER else 0, high=5)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.scanning.authentication.FloorAuthentication",
        "apps.accounts.authentication.TokenAuthentication",
        "apps.accounts.authentication.ApiSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.parsers.StrictJSON"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.pages.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_VERSIONING_CLASS": None,
    "EXCEPTION_HANDLER": "apps.core.problems.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Docket",
    "DESCRIPTION": "Work orders and tasks of a job shop: for handhelds and small integrations.\n\n"
    "[Handhelds: the contract for clients](/api/docs/handhelds.md), for whoever writes a program that scans.",
    "VERSION": DOCKET_VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SORT_OPERATIONS": False,
    "SCHEMA_PATH_PREFIX": r"/api/",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "OrderStatus": "apps.workorders.states.OrderStatus",
        "StepStatus": "apps.workorders.states.StepStatus",
        "TaskStatus": "apps.workorders.states.TaskStatus",
        "Unit": "apps.core.units.Unit",
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "apps.core.schema.add_problems"],
}

Q_CLUSTER = {
    "name": "docket",
    "orm": "default",
    "workers": env.number("DOCKET_WORKERS", 2, low=1, high=32),
    # A lock starts when a job is fetched, so nothing is fetched that no worker is free for.
    "queue_limit": env.number("DOCKET_WORKERS", 2, low=1, high=32),
    "bulk": 1,
    "timeout": 120,
    "retry": 480,
    "max_attempts": 3,
    "ack_failures": False,
    "catch_up": False,
    "save_limit": 50,
    "poll": 0.5,
    "recycle": 100,
    "label": "Docket",
}

# The supervisor of `manage.py worker` restarts a cluster that delivered nothing for so long.
DOCKET_WORKER_STALE_SECONDS = env.number("DOCKET_WORKER_STALE_SECONDS", 60, low=5, high=3600)

# Backups: where the archives are, how long they stay, and the site's own command that takes each one elsewhere.
DOCKET_BACKUP_DIR = env.place("DOCKET_BACKUP_DIR", VAR_DIR / "backups")
DOCKET_BACKUP_DAYS = env.number("DOCKET_BACKUP_DAYS", 30, low=1, high=3650)
DOCKET_BACKUP_COPY = env.command("DOCKET_BACKUP_COPY")
# With a key, archives are encrypted under the first; each of them opens what was made with it.
DOCKET_BACKUP_KEYS = env.key_file("DOCKET_BACKUP_KEY_FILE", outside=DOCKET_BACKUP_DIR)

# Who may read /metrics; without it there is no such address.
DOCKET_METRICS_TOKEN = env.token("DOCKET_METRICS_TOKEN")

# A copy that may be loaded says so on every answer; loadtest/ refuses any other.
DOCKET_LOADTEST = env.flag("DOCKET_LOADTEST")

SIMPLE_HISTORY_REVERT_DISABLED = True
SIMPLE_HISTORY_HISTORY_CHANGE_REASON_USE_TEXT_FIELD = True
IMPORT_EXPORT_SKIP_ADMIN_LOG = True
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "import"
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "export"

# Rules of the shop that sites set differently.
DOCKET_NUMBER_FORMAT = env.pattern(
    "DOCKET_NUMBER_FORMAT", "{year}{month:02}-{serial:04}", needs="serial", year=2026, month=11, day=1, serial=1
)
DOCKET_OVER_TOLERANCE = env.number("DOCKET_OVER_TOLERANCE_PERCENT", 5, high=100)
DOCKET_UNDER_TOLERANCE = env.number("DOCKET_UNDER_TOLERANCE_PERCENT", 5, high=100)
DOCKET_OVERRUN_CAP = env.number("DOCKET_OVERRUN_CAP_PERCENT", 50, low=1, high=1000)
DOCKET_UNDO_MINUTES = env.number("DOCKET_UNDO_MINUTES", 15, low=1, high=1440)
DOCKET_SUPERVISOR_UNDO_HOURS = env.number("DOCKET_SUPERVISOR_UNDO_HOURS", 24, low=1, high=720)
DOCKET_TOKEN_DAYS = env.number("DOCKET_TOKEN_DAYS", 30, low=1, high=365)
# Administrators sign in with a second factor, or get no further than the page that sets it up.
DOCKET_REQUIRE_TOTP = env.flag("DOCKET_REQUIRE_TOTP")
# How long the password counts as just shown, on pages that ask for it again.
DOCKET_SUDO_MINUTES = env.number("DOCKET_SUDO_MINUTES", 10, low=1, high=120)
DOCKET_BADGE_MINUTES = env.number("DOCKET_BADGE_MINUTES", 15, low=1, high=720)
DOCKET_API_PER_MINUTE = env.number("DOCKET_API_PER_MINUTE", 600, low=10, high=100_000)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_identity": {"()": "apps.core.middleware.RequestIdentityFilter"},
        "one_line": {"()": "apps.core.middleware.OneLineFilter"},
    },
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s",
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
            "json_ensure_ascii": False,
        },
        "plain": {"format": "%(levelname)s %(name)s %(message)s"},
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": sys.stdout if env.choice("LOG_STREAM", "stderr", ("stdout", "stderr")) == "stdout" else sys.stderr,
            "filters": ["request_identity", "one_line"],
            "formatter": env.choice("LOG_FORMAT", "plain" if DEBUG else "json", ("plain", "json")),
        }
    },
    # Each job has its own line from docket.jobs; of the queue's machinery only trouble is news.
    "loggers": {"django-q": {"level": "WARNING"}},
    "root": {
        "handlers": ["stdout"],
        "level": env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    },
}

EMAIL_HOST = env.text("EMAIL_HOST")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_PORT = env.number("EMAIL_PORT", 25, low=1, high=65535)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("DEFAULT_FROM_EMAIL", "docket@localhost")
ADMINS = [("Docket", address) for address in env.mail_addresses("DOCKET_ADMINS")]

# Faults go to the site's own Sentry, where it has one.
if _dsn := env.address("SENTRY_DSN", ("https", "http")):
    from project import faults

    faults.report_to(_dsn, release=DOCKET_VERSION, environment=env.text("DOCKET_ENVIRONMENT", "production"))
