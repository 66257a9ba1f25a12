"""The OpenAPI document, made from the table that routes and checks requests: it can say nothing else than they do."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from .cookies import SESSION
from .failures import ErrorAnswer
from .operations import PARAMETERS, Operation

REASONS = {
    400: "The request cannot be read",
    401: "No valid token",
    403: "Not allowed: a limit of the namespace, another site's page, a temporary password not changed yet",
    404: "Nothing there, or nothing that this token may see",
    409: "The state of things does not allow it",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "The request is read, and asks for what cannot be",
    429: "Too many attempts",
    503: "Not now",
}
_REF = "#/components/schemas/{name}"


def document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """OpenAPI 3.1 for the operations."""
    operations = list(operations)
    types = [kind for o in operations for kind in (o.body, o.answer) if kind is not None]
    queries = [o.query for o in operations if o.query is not None]
    _, schemas = msgspec.json.schema_components([*types, *queries, ErrorAnswer], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schemas)
    for query in queries:  # spelled out as parameters
        schemas.pop(query.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Coldstream",
            "version": version,
            "description": "Tenants, namespaces, topics and keys. Errors have one shape, `ErrorAnswer`.",
        },
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION},
            },
        },
    }


def possible_statuses(operation: Operation) -> list[int]:
    """The failures an operation can answer, beside what breaks on our side."""
    statuses = {400, 401, 413, *operation.errors}
    if operation.body is not None:
        statuses |= {415, 422}
    if operation.query is not None:
        statuses |= {422}
    if "{" in operation.path or operation.needs is not None:
        statuses |= {404}
    statuses |= {403}  # a session's change asked for by another site's page, or a temporary password not changed yet
    return sorted(statuses)


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": PARAMETERS[name]}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    if operation.query is not None:
        described_query = schemas[operation.query.__name__]
        parameters += [
            {"name": name, "in": "query", "required": name in described_query.get("required", ()), "schema": schema}
            for name, schema in described_query["properties"].items()
        ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        required = bool(schemas[operation.body.__name__].get("required"))
        described["requestBody"] = {"required": required, "content": _json(operation.body)}
    answers: dict[str, Any] = {
        str(status): {"description": REASONS[status], "content": _json(ErrorAnswer)}
        for status in possible_statuses(operation)
    }
    done: dict[str, Any] = {"description": "Done"}
    if operation.answer is not None:
        done["content"] = _json(operation.answer)
    described["responses"] = {str(operation.status): done, **answers}
    return described


def _json(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}
