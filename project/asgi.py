"""The ASGI door: `gunicorn -k asgi project.asgi`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
