"""The dashboard's files, served from memory: exactly those that the build made, so that no other path ever answers with a page."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent / "site"
"""Where the build puts the dashboard; no part of the sources."""

PREFIX_MARK = b"/__levqor_prefix__"
"""The build's place for the URL prefix, which is known only now (levqor-site/next.config.ts)."""

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
NO_DEVICES = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
CONNECTS = "connects.json"
"""Left by the build: hosts that the page was built to talk to beside its own (a Sentry DSN's). Itself never served."""
FOREVER = "public, max-age=31536000, immutable"
"""For files whose names change with their content."""


@dataclass(frozen=True)
class File:
    """One file of the dashboard, with its prefix put in."""

    name: str
    body: bytes
    brotli: bytes | None
    connects_to: tuple[str, ...] = ()

    @property
    def is_page(self) -> bool:
        return self.name.endswith(".html")

    @cached_property
    def etag(self) -> str:
        """Weak: packed and plain are the same text and not the same bytes."""
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @cached_property
    def gzipped(self) -> bytes:
        return gzip.compress(self.body, mtime=0)

    @cached_property
    def headers(self) -> dict[str, str]:
        """What every answer with this file says; a page names its own inline scripts by their hashes."""
        found = {
            "content-type": MEDIA_TYPES.get(Path(self.name).suffix, "application/octet-stream"),
            "cache-control": FOREVER if self.name.startswith("_next/static/") else "no-cache",
            "etag": self.etag,
            "vary": "Accept-Encoding",
        }
        if self.is_page:
            found["content-security-policy"] = policy(self.body, self.connects_to)
            found["cross-origin-opener-policy"] = "same-origin"
            found["permissions-policy"] = NO_DEVICES
        return found


def policy(page: bytes, connects_to: Sequence[str] = ()) -> str:
    """Nothing from elsewhere, no frame around it, and of inline scripts those that the build itself put in."""
    digests = [base64.b64encode(hashlib.sha256(script).digest()).decode("ascii") for script in INLINE_SCRIPT.findall(page)]
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in dict.fromkeys(digests))])
    connects = " ".join(["'self'", *connects_to])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:; connect-src {connects}; font-src 'self'; "
        "manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def load(base_path: str, folder: Path) -> dict[str, File]:
    """Every file by the path that asks for it; empty where no dashboard was built. Pages answer without `.html`."""
    found: dict[str, File] = {}
    connects_to = _connects_to(folder)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.suffix == ".br" or name == CONNECTS:
            continue
        packed = path.with_name(f"{path.name}.br")
        # Packed when it was built, for no prefix: with one it is another text.
        brotli = packed.read_bytes() if packed.exists() and not base_path else None
        found[_address(name)] = File(name, _with_prefix(path.read_bytes(), base_path), brotli, connects_to)
    return found


def _with_prefix(text: bytes, base_path: str) -> bytes:
    """The mark alone is the first page's address, which is `/` where there is no prefix."""
    first = f'href="{base_path or "/"}"'.encode()
    return text.replace(b'href="' + PREFIX_MARK + b'"', first).replace(PREFIX_MARK, base_path.encode())


def _connects_to(folder: Path) -> tuple[str, ...]:
    place = folder / CONNECTS
    return tuple(json.loads(place.read_text(encoding="utf-8"))) if place.exists() else ()


def _address(name: str) -> str:
    if name == "index.html":
        return "/"
    return f"/{name.removesuffix('.html')}"


def _path(scope: Scope) -> str:
    """The path without the prefix that a proxy may have passed on; the prefix itself is the first page."""
    return str(scope["path"]).removeprefix(scope.get("root_path", "")) or "/"


class SiteRoute(BaseRoute):
    """Answers for the dashboard's own files, and matches nothing else: an unknown path stays a 404."""

    def __init__(self, files: Mapping[str, File]) -> None:
        self.files = files

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_ours = scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and _path(scope) in self.files
        return (Match.FULL, {}) if is_ours else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(self.files[_path(scope)], Headers(scope=scope))(scope, receive, send)


def answer(file: File, asked: Headers) -> Response:
    """The file as the browser wants it: packed where it can unpack, or not at all where it has it."""
    if _has(asked, file.etag):
        # With its policy: a browser puts a 304's headers in place of those that it kept.
        return Response(status_code=304, headers=file.headers)
    accepted = _codings(asked.get("accept-encoding", ""))
    if file.brotli is not None and "br" in accepted:
        return Response(file.brotli, headers={**file.headers, "content-encoding": "br"})
    if "gzip" in accepted:
        return Response(file.gzipped, headers={**file.headers, "content-encoding": "gzip"})
    return Response(file.body, headers=file.headers)


def _has(asked: Headers, etag: str) -> bool:
    """Does the browser keep this very file? A proxy may have made its tag a strong one, or added others."""
    kept = {tag.strip().removeprefix("W/") for tag in asked.get("if-none-match", "").split(",")}
    return etag.removeprefix("W/") in kept


def _codings(accepted: str) -> set[str]:
    """What it can unpack; `q=0` says that it cannot."""
    pairs = [offer.partition(";") for offer in accepted.lower().split(",")]
    return {name.strip() for name, _, weight in pairs if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")}
