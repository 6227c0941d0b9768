"""What drf-spectacular cannot see by itself: that every refusal is a problem, and which ones an operation can answer."""

import json
import re
from typing import Any

PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable and for machines; `detail` says in the caller's language what to do.",
    "required": ["type", "title", "status", "detail", "code", "errors", "retry"],
    "properties": {
        "type": {"type": "string", "example": "about:blank"},
        "title": {"type": "string", "example": "Conflict"},
        "status": {"type": "integer", "example": 409},
        "detail": {"type": "string", "example": "Task T12 is taken: Li Hua has it."},
        "code": {"type": "string", "example": "already_claimed"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {
                    "field": {"type": "string", "example": "lines.0.quantity"},
                    "code": {"type": "string", "example": "min_value"},
                    "detail": {"type": "string", "example": "Ensure this value is greater than or equal to 1."},
                },
            },
        },
        "retry": {
            "type": "string",
            "enum": ["never", "same_key", "new_key", "after_login"],
            "description": "Whether sending it again helps: never, with the same Idempotency-Key, with a new one, or after signing in.",
        },
    },
    "additionalProperties": True,
}
ALWAYS = {"401": "Not signed in, or no longer.", "403": "Signed in, but not allowed.", "429": "Too many requests; see `Retry-After`."}
ROW = {"404": "Out of sight, or absent."}
LIST = {"400": "A parameter that is unknown or cannot be."}
COMMAND = {
    "400": "The body is wrong.",
    "409": "A rule forbids it, or somebody was faster.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "The Idempotency-Key was used for another request.",
}
EDIT = {
    "400": "The body is wrong.",
    "409": "A rule forbids it.",
    "412": "Somebody changed it meanwhile; see `current`.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "428": "If-Match is missing.",
}


def add_problems(result: dict, generator: Any, request: Any, public: bool) -> dict:
    """Add the Problem and, to every operation, the refusals that it can answer."""
    schemas = result["components"].setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    for name in _bodies(result["paths"], schemas):
        schemas[name]["additionalProperties"] = False
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            kinds = ALWAYS | (ROW if "{" in path else {})
            kinds |= {"post": COMMAND, "patch": EDIT, "delete": {"409": "A rule forbids it."}}.get(method, {} if "{" in path else LIST)
            for status, text in sorted(kinds.items()):
                operation["responses"].setdefault(status, _answer(text))
            for status, answer in operation["responses"].items():
                if status[0] == "4" and "content" not in answer:  # one that the view alone has, told in words
                    operation["responses"][status] = _answer(answer["description"])
    return result


def _bodies(paths: dict, schemas: dict) -> set[str]:
    """The schemas of what is sent, with those in them: `core.shapes.Body` takes no member that it does not know."""
    asked = [operation.get("requestBody", {}) for operations in paths.values() for operation in operations.values()]
    found: set[str] = set()
    while asked:
        names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(asked))) - found
        found |= names
        asked = [schemas[name] for name in names]
    return {name for name in found if schemas[name].get("type") == "object"}


def _answer(text: str) -> dict:
    return {"description": text, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
