import pytest

from apps.imports import services
from apps.imports.services import apply_import, plan_import
from tests.imports.samples import make_reference_people_and_processes, sample


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Pages do all the work at once, however slow the machine is; what a job does is asked for by its own tests."""
    monkeypatch.setattr(services, "AT_ONCE", 600.0)


@pytest.fixture
def reference(shop):
    """The shop with everything that catalogue.xlsx refers to."""
    make_reference_people_and_processes()
    return shop


@pytest.fixture
def catalogue(reference, supervisor):
    """The shop after catalogue.xlsx was imported by the supervisor."""
    apply_import(plan_import("catalogue", sample("catalogue.xlsx"), by=supervisor), by=supervisor)
    return reference
