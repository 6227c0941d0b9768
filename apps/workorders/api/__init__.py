"""Orders and tasks over HTTP: what they look like, how they are found, and every verb as a command."""
