"""The running service as the command line reaches it: by its HTTP routes only."""

import getpass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from levqor.domain.errors import ConditionNotMet, DependencyDown, GuardRefused, LevqorError, NotFound, UsageError
from levqor.settings import LOOPBACK, Settings, load

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 20.0
"""Longer than the ten seconds for which `apply` may wait for the leader."""


def actor() -> str:
    """Who types: the owner of a hold, the author of an audited change."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def token_for(settings: Settings, url: str) -> str | None:
    """ADMIN_TOKEN if it is set; the token that `up` wrote into its file only ever goes to this machine."""
    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    if (urlsplit(url).hostname or "") not in LOOPBACK:
        return None
    try:
        return settings.token_file.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def checked_url(url: str) -> str:
    """The address without its last slash. Raises UsageError for what is no HTTP address."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise UsageError("--url: expected an address such as http://127.0.0.1:8000")
    return url.rstrip("/")


class Service:
    """One service at one address. Every refusal becomes an error that carries its exit code."""

    def __init__(self, settings: Settings, url: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        import httpx

        self.settings = settings
        self.url = checked_url(url or settings.local_url)
        self.token = token_for(settings, self.url)
        self.timeout_s = timeout_s
        is_local = (urlsplit(self.url).hostname or "") in LOOPBACK
        self._client = httpx.Client(timeout=timeout_s, headers=self.headers(), trust_env=not is_local)

    @classmethod
    def at(cls, url: str | None = None, timeout_s: float = TIMEOUT_S) -> "Service":
        """The service that the settings, or `--url`, name."""
        return cls(load().settings, url, timeout_s)

    def headers(self) -> dict[str, str]:
        """Who asks, and by what right."""
        token = {"X-ADMIN-TOKEN": self.token} if self.token else {}
        return {"X-Levqor-Actor": quote(actor(), safe=" @.-"), "Accept": "application/json", **token}

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._ask("GET", path, params=given)

    def get_even_if_unready(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Like `get`, but an answer of 503 with a document is an answer: it says what is not ready."""
        return self._ask("GET", path, taken=(503,), params=parameters)

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._ask("POST", path, json=body or {})

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._ask("PUT", path, json=body)

    def delete(self, path: str) -> dict[str, Any]:
        return self._ask("DELETE", path)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, taken: tuple[int, ...] = (), **request: Any) -> dict[str, Any]:
        import httpx

        try:
            answer = self._client.request(method, self.url + path, **request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise DependencyDown(f"no service answers at {self.url}; start it with `levqor up`") from error
        except httpx.TimeoutException as error:
            raise DependencyDown(f"the service at {self.url} did not answer within {self.timeout_s:.0f} s") from error
        except httpx.HTTPError as error:
            raise DependencyDown(f"the service at {self.url} broke off: {error or type(error).__name__}") from error
        return self._read(answer, path, taken)

    def _read(self, answer: "httpx.Response", path: str, taken: tuple[int, ...]) -> dict[str, Any]:
        document = _document(answer)
        if answer.status_code >= 300 and not (answer.status_code in taken and isinstance(document, dict)):
            raise self._refusal(answer.status_code, document, path)
        if answer.status_code == 204:
            return {}
        if isinstance(document, list):
            return {"items": document}
        if not isinstance(document, dict):
            raise LevqorError(f"what answers at {self.url}{path} does not speak like Levqor")
        return document

    def _refusal(self, status: int, document: object, path: str) -> LevqorError:
        said = _said(document)
        if status in (401, 403):
            return UsageError(self._token_advice())
        if status == 404 and not said:
            return NotFound(f"{self.url}{path} is not there; does Levqor answer at this address?")
        kinds: dict[int, type[LevqorError]] = {
            404: NotFound, 408: ConditionNotMet, 409: GuardRefused, 502: DependencyDown, 503: DependencyDown, 504: DependencyDown,
        }  # fmt: skip
        kind = kinds.get(status, UsageError if status in (400, 405, 413, 415, 422) else LevqorError)
        return kind(said or f"the service answered {status} to {path}")

    def _token_advice(self) -> str:
        if self.token:
            return f"{self.url} refused the token; set ADMIN_TOKEN to the service's own, or point LEVQOR_DATA at its data folder"
        return f"{self.url} wants the admin token: set ADMIN_TOKEN, or run this where {self.settings.token_file} is readable"


def _document(answer: "httpx.Response") -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def _said(document: object) -> str:
    """What a problem document says, with the fields that it names."""
    if not isinstance(document, dict):
        return ""
    said = str(document.get("detail") or document.get("title") or document.get("reason") or "")
    errors = document.get("errors")
    named = [_field(error) for error in errors] if isinstance(errors, list) else []
    return "; ".join(part for part in [said, *named] if part)


def _field(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    where = error.get("field") or error.get("name") or ".".join(str(part) for part in error.get("loc", ()))
    return f"{where}: {error.get('message') or error.get('msg') or error.get('detail') or error.get('expected') or 'wrong'}"
