"""A shift of handhelds on a bad network: the reference client, a proxy that cuts replies, the shift itself, and its stage."""
