"""The stories' fixtures."""

from tests.stories.house import cast, worker

__all__ = ["cast", "worker"]
