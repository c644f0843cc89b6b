"""A FastAPI app that Levqor measures: one line does it."""

from fastapi import FastAPI

import levqor.asgi

app = FastAPI()
app.add_middleware(levqor.asgi.Middleware)


@app.get("/items/{number}")
def item(number: int) -> dict[str, int]:
    """Measured under its template, so that a million items are one route."""
    return {"number": number}


@app.get("/broken")
def broken() -> None:
    """Counts as a failure; its traceback goes where your app's always go."""
    raise RuntimeError("broken on purpose")
