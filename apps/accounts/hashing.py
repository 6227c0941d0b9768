"""How passwords and PINs are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with 46 MiB, one pass, one lane: the first choice of OWASP's Password Storage Cheat Sheet.

    Django's own (100 MiB, two passes, eight lanes) takes four times as long: where a shift signs in at once, a small machine has a
    queue of seconds. A password kept with other numbers is kept anew when its person next signs in.
    """

    time_cost, memory_cost, parallelism = 1, 47_104, 1
