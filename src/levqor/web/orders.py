"""What may be ordered: the bodies of the requests that act, each with its bounds."""

from typing import Annotated, Any

from fastapi import Depends
from pydantic import AfterValidator, Field, model_validator

from levqor.web.strict_json import Body, body_of

LONGEST_S = 31 * 86_400
MAX_WORKERS = 1_000


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected one line of printable characters")
    return text


Line = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
Span = Annotated[float, Field(gt=0, le=LONGEST_S)]


class JobOrder(Body):
    """A job to do."""

    handler: str = Field(min_length=1, max_length=200)
    payload: dict[str, Any] = Field(default_factory=dict)
    queue: str | None = Field(None, min_length=1, max_length=100)
    max_attempts: int | None = Field(None, ge=1, le=100)


class ApplyOrder(Body):
    """Decide, and act unless it is a dry run."""

    dry_run: bool = False


class ScaleOrder(Body):
    """A number of workers, or a difference, for a while."""

    count: int | None = Field(None, ge=0, le=MAX_WORKERS)
    delta: int | None = Field(None, ge=-MAX_WORKERS, le=MAX_WORKERS)
    why: Line = ""
    for_s: Span | None = None

    @model_validator(mode="after")
    def _check_one(self) -> "ScaleOrder":
        if (self.count is None) == (self.delta is None):
            raise ValueError("expected either count or delta")
        return self


class HoldOrder(Body):
    """Nothing automatic acts, for a while or until released."""

    why: Line = ""
    for_s: Span | None = None


class PauseOrder(Body):
    """A queue's jobs wait."""

    why: Line = ""


class FlagOrder(Body):
    """A flag's new value."""

    value: bool | int


class RestartOrder(Body):
    """One worker by name, or all of them one after another."""

    worker: Annotated[Line, Field(min_length=1, max_length=200)] | None = None


Job = Annotated[JobOrder, Depends(body_of(JobOrder))]
Apply = Annotated[ApplyOrder, Depends(body_of(ApplyOrder, may_be_empty=True))]
Scale = Annotated[ScaleOrder, Depends(body_of(ScaleOrder))]
Hold = Annotated[HoldOrder, Depends(body_of(HoldOrder, may_be_empty=True))]
Pause = Annotated[PauseOrder, Depends(body_of(PauseOrder, may_be_empty=True))]
Flag = Annotated[FlagOrder, Depends(body_of(FlagOrder))]
Restart = Annotated[RestartOrder, Depends(body_of(RestartOrder, may_be_empty=True))]
