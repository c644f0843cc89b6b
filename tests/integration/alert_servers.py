"""Local servers that speak what the alert channels speak: Telegram's Bot API, a webhook receiver, SMTP, and silence."""

import base64
import hashlib
import hmac
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


class HttpServer:
    """Answers each POST with `answer(path, headers, body)`; keeps what it was sent."""

    def __init__(self, answer: Callable[[str, dict[str, str], bytes], Answer]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((self.path, headers, body))
                status, more, text = answer(self.path, headers, body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class TelegramApi(HttpServer):
    """The part of the Bot API that matters: one bot, one chat, its words for what is wrong, and its flood control."""

    TOKEN, CHAT = "123456:AAF-token-of-the-bot", "-100777"

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.flood_s: int | None = None
        self.status: int | None = None
        super().__init__(self._answer)

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if self.status is not None:
            return self.status, {}, b"<html>Bad Gateway</html>"
        if path != f"/bot{self.TOKEN}/sendMessage":
            return self._refuse(401, "Unauthorized")
        if self.flood_s is not None:
            wait, self.flood_s = self.flood_s, None
            return self._refuse(429, f"Too Many Requests: retry after {wait}", {"retry_after": wait})
        message = json.loads(body)
        if headers.get("content-type") != "application/json" or str(message.get("chat_id")) != self.CHAT:
            return self._refuse(400, "Bad Request: chat not found")
        if not message.get("text") or len(message["text"].encode("utf-16-le")) > 2 * 4096:
            return self._refuse(400, "Bad Request: message is too long")
        self.messages.append(message)
        return 200, {}, json.dumps({"ok": True, "result": {"message_id": len(self.messages)}}).encode()

    def _refuse(self, code: int, description: str, parameters: dict[str, Any] | None = None) -> Answer:
        document = {"ok": False, "error_code": code, "description": description, **({"parameters": parameters} if parameters else {})}
        return code, {"Content-Type": "application/json"}, json.dumps(document).encode()


class Receiver(HttpServer):
    """A webhook receiver that verifies as the Standard Webhooks say, and takes each id once."""

    SECRET = "whsec_" + base64.b64encode(b"thirty-two bytes of a secret key").decode()

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.taken: dict[str, dict[str, Any]] = {}
        self.repeats = 0
        self.reply: Answer | None = None
        super().__init__(self._answer)

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if self.reply is not None:
            return self.reply
        if not self._is_ours(headers, body):
            return 401, {}, b"wrong signature"
        if headers["webhook-id"] in self.taken:
            self.repeats += 1
        self.taken[headers["webhook-id"]] = json.loads(body)
        return 204, {}, b""

    def _is_ours(self, headers: dict[str, str], body: bytes) -> bool:
        if abs(self._now() - int(headers["webhook-timestamp"])) > 300:
            return False
        key = base64.b64decode(self.SECRET[len("whsec_") :])
        message = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
        wanted = base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode()
        given = [part.split(",", 1)[1] for part in headers["webhook-signature"].split(" ") if part.startswith("v1,")]
        return any(hmac.compare_digest(wanted, one) for one in given)


class MailServer:
    """SMTP as far as one mail goes; `refuses`: answers 554 to the recipient."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.refuses = False
        outer = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                sender, recipients = "", []
                self._say("220 mail.test ready")
                while line := self.rfile.readline():
                    word = line.strip().upper()
                    if word.startswith((b"EHLO", b"HELO")):
                        self._say("250 mail.test")
                    elif word.startswith(b"MAIL FROM:"):
                        sender = line.strip()[10:].decode()
                        self._say("250 ok")
                    elif word.startswith(b"RCPT TO:"):
                        recipients.append(line.strip()[8:].decode())
                        self._say("554 no such user" if outer.refuses else "250 ok")
                    elif word == b"DATA":
                        self._say("354 go on")
                        outer.mails.append((sender, recipients, b"".join(iter(self.rfile.readline, b".\r\n"))))
                        self._say("250 taken")
                    elif word == b"QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 ok")

            def _say(self, line: str) -> None:
                self.wfile.write(line.encode() + b"\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.port = self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def silent_server(drip: bytes = b"") -> Iterator[int]:
    """Takes connections and never answers; with `drip` it sends one byte of it every 50 ms, for ever. Its port."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    guests: list[socket.socket] = []

    def serve() -> None:
        sent = 0
        while not stop.is_set():
            with suppress(TimeoutError):
                guests.append(listener.accept()[0])
            if drip:
                for guest in guests:
                    try:
                        guest.send(drip[sent % len(drip) :][:1])
                    except OSError:
                        continue  # it has hung up, as it should
                sent += 1

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield int(listener.getsockname()[1])
    stop.set()
    thread.join(5)
    for each in (listener, *guests):
        each.close()
