"""JSON as the standard has it: no NaN, no endless numbers, no name given twice, no half characters, no bottomless nesting."""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool

from levqor.web.problems import ProblemError, field_errors, sentence

MAX_DEPTH = 64
MAX_NUMBER_LENGTH = 100
SMALL_BYTES = 65_536
"""A body above this is read in a thread, so that the loop does not wait for it."""


class Body(BaseModel):
    """A request's body: no field more, none of another type."""

    model_config = ConfigDict(strict=True, extra="forbid")


BodyT = TypeVar("BodyT", bound=Body)


def parse(data: bytes) -> Any:
    """The value in `data`. Raises ValueError that says what is wrong without repeating it."""
    try:
        value = json.loads(
            data.decode("utf-8"), parse_constant=_no_constant, parse_int=_integer, parse_float=_real, object_pairs_hook=_no_doubles
        )
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None
    _walk(value)
    return value


def _no_constant(_: str) -> float:
    raise ValueError("NaN and Infinity are not JSON")


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError(f"a number longer than {MAX_NUMBER_LENGTH} characters")
    return int(text)


def _real(text: str) -> float:
    if len(text) > MAX_NUMBER_LENGTH or not math.isfinite(number := float(text)):
        raise ValueError("a number that is too long or too large")
    return number


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return table


def _walk(value: Any) -> None:
    """Check depth and text without recursion, so that no input can exhaust the stack."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        following: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                following += item.keys()
                following += item.values()
            elif isinstance(item, list):
                following += item
        level, depth = following, depth + 1


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text holds half a character (a lone surrogate)") from None


def is_json(content_type: str) -> bool:
    """Is this the media type of JSON? A browser cannot send it to another site without asking first."""
    return content_type.partition(";")[0].strip().lower() == "application/json"


async def read(request: Request, *, may_be_empty: bool) -> Any:
    """The request's JSON value; an empty body is `{}` where that is allowed."""
    data = await request.body()
    if not data and may_be_empty:
        return {}
    if not is_json(request.headers.get("content-type", "")):
        raise ProblemError(415, "Send JSON, with Content-Type: application/json.")
    try:
        return parse(data) if len(data) <= SMALL_BYTES else await run_in_threadpool(parse, data)
    except ValueError as error:
        raise ProblemError(400, f"The body is not JSON that is taken here: {error}.") from None


def body_of(model: type[BodyT], *, may_be_empty: bool = False) -> Callable[[Request], Awaitable[BodyT]]:
    """A dependency that reads the body as `model`; it runs after the dependencies declared before it, such as the token's."""

    async def checked(request: Request) -> BodyT:
        value = await read(request, may_be_empty=may_be_empty)
        try:
            return model.model_validate(value)
        except ValidationError as error:
            errors = field_errors(error.errors(include_input=False, include_url=False, include_context=False))
            raise ProblemError(422, sentence(errors), errors=errors) from None

    return checked


def described(model: type[Body], *, required: bool = True) -> dict[str, Any]:
    """The body's part of the OpenAPI page."""
    schema = model.model_json_schema()
    whole = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": whole}}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its own definitions put in their places: what they point to is not where OpenAPI looks."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[str(schema["$ref"]).rpartition("/")[2]], definitions)
    return {name: _inlined(item, definitions) for name, item in schema.items()}
