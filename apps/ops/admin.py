"""The queue's own admin pages run any function that is typed into them: they are taken away."""

import django_q.admin  # noqa: F401  (registers its pages, so that they can be taken away here)
from django.apps import apps
from django.contrib import admin

for model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)
