"""HTTP/1.1 on the wire: a request's head has a deadline and a size, and who is refused in mid-body still hears why."""

import asyncio
import http
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from levqor.web.problems import MEDIA_TYPE, problem_body

FIRST_HEARD_S = 1.0
"""At the end of the process, a connection that was accepted but not heard yet may still send its request for this long."""

LINGER_S = 2.0
"""An answer given before the body's end is followed by this much of listening to nobody, since closing at once would take it back."""


class BoundedH11(H11Protocol):
    """uvicorn's protocol with a deadline for each head. Derive from it to set another than the default's."""

    head_timeout_s = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._is_last = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._linger_timer is None:
            super().data_received(data)

    def shutdown(self) -> None:
        """Whoever was accepted and not heard yet was promised an answer: their request comes first, then the end."""
        if self.cycle is not None:
            return super().shutdown()
        if not self._is_last:
            self._is_last = True
            self.loop.call_later(FIRST_HEARD_S, self._end_unheard)
        return None

    def _end_unheard(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def handle_events(self) -> None:
        super().handle_events()
        if self._is_last and self.cycle is not None:
            self.cycle.keep_alive = False
        if self.conn.their_state is not h11.IDLE:
            self._head_has_come()
        elif self.conn.trailing_data[0]:
            self._expect_head()

    def on_response_complete(self) -> None:
        is_cut = self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing()
        super().on_response_complete()
        if is_cut:
            self._linger()

    def send_400_response(self, msg: str) -> None:
        """Called while h11's error is handled, which knows the better status."""
        error = sys.exc_info()[1]
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        detail = f"The request's head is larger than {self.config.h11_max_incomplete_event_size} bytes." if status == 431 else msg
        self._refuse(status, detail)

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._head_is_late)

    def _head_has_come(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing() and self.conn.our_state is h11.IDLE:
            self._refuse(408, f"The request's head did not arrive within {self.head_timeout_s:g} s.")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer without the app, and close."""
        body = problem_body(status, detail)
        headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
        response = h11.Response(status_code=status, headers=headers, reason=http.HTTPStatus(status).phrase.encode("ascii"))
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self._linger()

    def _linger(self) -> None:
        """Say no more, hear no more, and close soon: an immediate close would reset the connection under the answer."""
        self._stop_timers()
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._linger_timer = self.loop.call_later(LINGER_S, self.transport.close)

    def _stop_timers(self) -> None:
        self._head_has_come()
        if self._linger_timer is not None:
            self._linger_timer.cancel()


def protocol(head_timeout_s: float) -> type[BoundedH11]:
    """The protocol with this deadline."""
    return type("Protocol", (BoundedH11,), {"head_timeout_s": head_timeout_s})
