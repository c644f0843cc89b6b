"""Every error is RFC 9457 problem JSON that says what is wrong and never repeats what came in (spec X3)."""

import http
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from levqor.domain.errors import Conflict, DependencyDown, GuardRefused, LevqorError, NotFound, NotTheLeader, UsageError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
MAX_NAME_LENGTH = 100

NAMED = re.compile(r"(?P<field>[A-Za-z_]\w*): (?P<message>.+)", re.ASCII | re.DOTALL)
"""Levqor's own errors about one field begin with its name."""

STATUS_OF: tuple[tuple[type[LevqorError], int], ...] = (
    (UsageError, 422),
    (NotFound, 404),
    (Conflict, 409),
    (GuardRefused, 409),
    (DependencyDown, 503),
    (NotTheLeader, 503),
)


class FieldError(TypedDict):
    """One wrong field and what was expected of it."""

    field: str
    message: str


class ProblemError(HTTPException):
    """A refusal with all that its answer says."""

    def __init__(self, status: int, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.errors = list(errors)


def wrong_field(field: str, message: str) -> ProblemError:
    """422 for one field."""
    return ProblemError(422, f"{field}: {message}", errors=[FieldError(field=field, message=message)])


def known_name(name: str) -> str:
    """A name from a path; what can be no name is not found."""
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise ProblemError(404, "There is nothing by that name.")
    return name


def problem_body(status: int, detail: str, errors: Sequence[FieldError] = ()) -> bytes:
    """The JSON text of a problem."""
    problem: dict[str, Any] = {"type": "about:blank", "title": http.HTTPStatus(status).phrase, "status": status, "detail": detail}
    if errors:
        problem["errors"] = list(errors)
    return json.dumps(problem).encode("ascii")


def problem(status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None) -> Response:
    """A problem as an answer."""
    return Response(problem_body(status, detail, errors), status, dict(headers or {}), MEDIA_TYPE)


def of_levqor_error(error: LevqorError) -> Response:
    """The answer for an error that Levqor raised on purpose."""
    status = next((status for kind, status in STATUS_OF if isinstance(error, kind)), 500)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    named = NAMED.match(str(error)) if status == 422 else None
    errors = [FieldError(field=named["field"], message=named["message"])] if named else []
    return problem(status, str(error) if status != 500 else UNEXPECTED, errors, headers)


UNEXPECTED = "Levqor failed in a way it does not know. The log of the control plane says more."


def install(app: FastAPI) -> None:
    """Make the app answer with problems only."""

    def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 (registered for this class)
        errors = error.errors if isinstance(error, ProblemError) else ()
        return problem(error.status_code, _detail(error), errors, error.headers)

    def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for this class)
        errors = field_errors(error.errors())
        return problem(422, sentence(errors), errors)

    def known(_: Request, error: Exception) -> Response:
        assert isinstance(error, LevqorError)  # noqa: S101 (registered for this class)
        return of_levqor_error(error)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(LevqorError, known)


def _detail(error: HTTPException) -> str:
    if isinstance(error, ProblemError):
        return error.detail
    return {404: "There is nothing at this path.", 405: "This path does not take that method."}.get(
        error.status_code, http.HTTPStatus(error.status_code).description or "Refused."
    )


def field_errors(details: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's findings without the input: the field's name, unless the name itself is the input, and what was expected."""
    found: list[FieldError] = []
    for detail in details:
        place = [str(part) for part in detail["loc"] if part not in ("body", "query", "path", "header")]
        if detail["type"] == "extra_forbidden":
            found.append(FieldError(field="body", message="holds a field that is not known here"))
        else:
            found.append(FieldError(field=place[0] if place else "body", message=str(detail["msg"]).removeprefix("Value error, ")))
    return found


def sentence(errors: Sequence[FieldError]) -> str:
    """All errors in one line."""
    return "; ".join(f"{error['field']}: {error['message']}" for error in errors)
