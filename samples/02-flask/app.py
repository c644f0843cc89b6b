"""A Flask app that Levqor measures: one line does it."""

from flask import Flask

import levqor.wsgi

app = Flask(__name__)
app.wsgi_app = levqor.wsgi.Middleware(app.wsgi_app)  # type: ignore[method-assign]


@app.get("/items/<int:number>")
def item(number: int) -> dict[str, int]:
    """Measured under its template, so that a million items are one route."""
    return {"number": number}


@app.get("/broken")
def broken() -> str:
    """Counts as a failure; its traceback goes where your app's always go."""
    raise RuntimeError("broken on purpose")
