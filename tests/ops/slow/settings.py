"""Docket's settings with the jobs of this folder: for workers that tests start as processes of their own."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS, Q_CLUSTER

INSTALLED_APPS = [*INSTALLED_APPS, "tests.ops.slow"]
Q_CLUSTER = {**Q_CLUSTER, "guard_cycle": 0.2, "poll": 0.2}
