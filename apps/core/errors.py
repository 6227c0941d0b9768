"""What a broken rule is called. Services raise these; each surface says them in its own way."""

from typing import Any


class RuleError(Exception):
    """A rule forbids it. `message` is a whole sentence that names the thing and the way out.

    `code` is stable and for machines; `field` names the input that it is about, if one; `extra` goes into API answers.
    """

    code = "rule"

    def __init__(self, message: Any, *, code: str = "", field: str = "", **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.field = field
        self.extra = extra

    def __str__(self) -> str:
        return str(self.message)


class InvalidInput(RuleError):
    """The input itself is wrong, whatever the state of things."""

    code = "invalid"

    def __init__(self, message: Any = "", *, problems: "list[RuleError] | None" = None, **extra: Any) -> None:
        super().__init__(message or (problems[0].message if problems else ""), **extra)
        self.problems = problems or [self]


class OutOfSight(RuleError):
    """What is asked for is not there, or not to be seen: the same words for both."""

    code = "not_found"


class NotAllowed(RuleError):
    """Seen, but not his to do: PermissionDenied with a code and members of its own."""

    code = "not_allowed"


class Outdated(RuleError):
    """What the question builds on is too far back. The way out is to read afresh."""

    code = "outdated"


class StaleEdit(RuleError):
    """Somebody saved the object after it was shown."""

    code = "stale"


class TooManyTries(RuleError):
    """A limit on tries is used up. `wait` is in seconds."""

    code = "throttled"

    def __init__(self, message: Any, *, wait: float, **extra: Any) -> None:
        super().__init__(message, **extra)
        self.wait = wait
