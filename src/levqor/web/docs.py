"""The API's page, with Swagger UI from this installation: no request leaves for another host."""

import importlib.resources
from html import escape
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import HTMLResponse, Response

from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.problems import ProblemError

ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}
START = """
const place = document.getElementById("swagger");
SwaggerUIBundle({ url: place.dataset.openapi, domNode: place, deepLinking: true, validatorUrl: null });
"""
SECURITY = {
    "admin": {"type": "apiKey", "in": "header", "name": "X-ADMIN-TOKEN"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "job": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Levqor API</title>
<link rel="icon" href="{base}/docs/assets/favicon.png">
<link rel="stylesheet" href="{base}/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger" data-openapi="{base}/openapi.json"></div>
<script src="{base}/docs/assets/swagger-ui-bundle.js"></script>
<script src="{base}/docs/assets/start.js"></script>
</body>
</html>
"""


def description(app: FastAPI, base_path: str) -> dict[str, Any]:
    """The API as OpenAPI, with the ways to say who asks."""
    schema = app.openapi()
    parts = {**schema.get("components", {}), "securitySchemes": SECURITY}
    any_of: list[dict[str, list[str]]] = [{}]
    any_of += [{name: []} for name in SECURITY]
    return {**schema, "components": parts, "security": any_of, "servers": [{"url": base_path or "/"}]}


def router(app: FastAPI, base_path: str, access: Access) -> APIRouter:
    """The page and its parts: a fixed list of files, read from the package that carries them."""
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(access.reader)])

    @routes.get("/openapi.json")
    def described() -> Response:
        return Json(description(app, base_path))

    @routes.get("/docs")
    async def page() -> Response:
        return HTMLResponse(PAGE.format(base=escape(base_path)), headers={"content-security-policy": POLICY})

    @routes.get("/docs/assets/start.js")
    async def start() -> Response:
        return Response(START, media_type="text/javascript")

    @routes.get("/docs/assets/{name}")
    def asset(name: str) -> Response:
        if name not in ASSETS:
            raise ProblemError(404, "There is nothing at this path.")
        data = importlib.resources.files("fastapi_offline").joinpath("static", name).read_bytes()
        return Response(data, media_type=ASSETS[name], headers={"cache-control": "max-age=3600"})

    return routes
