"""Backups that prove themselves: made, restored into a scratch database, compared, and only then called proved."""
