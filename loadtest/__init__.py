"""Docket under load, and what it costs beside Django alone. `run.sh` loads a running site, `stack.py` starts one for it."""
