"""An app with jobs that no shop has: they wait, and they kill their worker."""
