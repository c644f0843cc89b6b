"""What an HTTP status of a source means, in words of our own: theirs may hold a part of the key (spec X2)."""

from collections.abc import Mapping

from levqor.domain.errors import SourceDown


def refusal(who: str, status: int, setting: str, retry_after_s: float | None = None) -> SourceDown:
    """The error for an answer that is none."""
    if status in (401, 403):
        return SourceDown(f"{who} refuses the key ({status}): check {setting}", permanent=True)
    if status == 429:
        return SourceDown(f"{who} asks to wait (429)", retry_after_s=retry_after_s)
    if status >= 500:
        return SourceDown(f"{who} answers {status}", retry_after_s=retry_after_s)
    return SourceDown(f"{who} refuses the request ({status})", permanent=True)


def usable_key(key: str, setting: str) -> str:
    """The key as it goes into a header. Raises SourceDown for one that cannot: a library would put it into its own error."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SourceDown(f"{setting} is not a key: expected letters and digits, such as sk_...", permanent=True)
    return key


def wait_of(headers: Mapping[str, str] | None) -> float | None:
    """Retry-After in seconds, where it is given as a number."""
    given = {name.lower(): value for name, value in (headers or {}).items()}.get("retry-after", "").strip()
    return float(given[:9]) if given.isascii() and given.isdigit() else None
