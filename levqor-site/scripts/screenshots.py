"""Takes the pictures of the docs from a running demo: `make screenshots`. About three minutes; needs Chromium."""

# ruff: noqa: TID251, T201, S101, S311 (runs outside of Levqor: its own clock, its own words; the dice draw a picture)

import base64
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PICTURES = {
    "overview": ("/", "light"),
    "overview-dark": ("/", "dark"),
    "autoscale": ("/autoscale", "light"),
    "retention": ("/retention", "light"),
}
STEPS_WANTED, MINUTES_WANTED = 2, 3
WITHIN_S = 240.0
MOST_BYTES = 150_000
COLOURS = 255


class Demo:
    """`levqor demo` as somebody would run it."""

    def __init__(self) -> None:
        command = [sys.executable, "-u", "-m", "levqor.cli", "demo"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.url = self._said(r"ready: (http://\S+)")
        folder = Path(self._said(r"`levqor up` in (\S+):"))
        self.token = next(folder.rglob("admin_token")).read_text(encoding="ascii").strip()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def _said(self, pattern: str) -> str:
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found.group(1)
            time.sleep(0.2)
        raise SystemExit(f"the demo did not say {pattern}: {''.join(self.lines)}")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, self.url + path, json=body, headers={"X-ADMIN-TOKEN": self.token}, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def wait_for_steps(self) -> None:
        """Until it has stepped up and the chart holds some minutes."""
        deadline, steps = time.monotonic() + WITHIN_S, 0
        while time.monotonic() < deadline:
            overview = self.ask("GET", "/ops/overview")
            steps = max(steps, sum(one["applied"] and one["action"] == "scale_up" for one in overview["decisions"]))
            minutes = sum(value is not None for value in overview["chart"]["lines"]["workers"])
            if steps >= STEPS_WANTED and minutes >= MINUTES_WANTED:
                return
            time.sleep(1)
        raise SystemExit("the demo did not step up")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def people(now: datetime) -> list[dict[str, str]]:
    """Made-up activity of five weeks, so that retention has something to show."""
    dice, events = Random(11), []
    for person in range(220):
        first, loyalty = dice.randint(0, 34), dice.random()
        for day in range(first, 35):
            if day == first or dice.random() < loyalty / (1 + 0.08 * (day - first)):
                at = now - timedelta(days=34 - day, minutes=dice.randint(0, 5))
                events.append({"id": f"picture-{person}-{day}", "user_id": f"u{person}", "ts": at.isoformat()})
    return events


def take(browser: Browser, demo: Demo, path: str, scheme: Any) -> bytes:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme, locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    page.goto(demo.url + path)
    page.get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Admin token").fill(demo.token)
    dialog.get_by_label("Your name").fill("mia")
    dialog.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="mia").wait_for()
    page.mouse.move(2, 450)
    page.wait_for_timeout(2_000)
    picture = small(page, page.screenshot())
    context.close()
    return picture


def small(page: Page, picture: bytes) -> bytes:
    """The same picture in its 255 most frequent colours: text on plain ground loses nothing that an eye would see."""
    if len(picture) <= MOST_BYTES:
        return picture
    script = """async (data) => {
        const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))]));
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), pen = canvas.getContext("2d");
        pen.drawImage(bitmap, 0, 0);
        const pixels = pen.getImageData(0, 0, bitmap.width, bitmap.height).data;
        let text = "";
        for (let i = 0; i < pixels.length; i += 32768) text += String.fromCharCode(...pixels.subarray(i, i + 32768));
        return [bitmap.width, bitmap.height, btoa(text)];
    }"""
    width, height, data = page.evaluate(script, base64.b64encode(picture).decode())
    pixels = np.frombuffer(base64.b64decode(data), np.uint8).reshape(-1, 4)[:, :3].astype(np.int32)
    packed = pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2]
    found, where, counts = np.unique(packed, return_inverse=True, return_counts=True)
    kept = found[np.argsort(counts)[::-1][:COLOURS]]
    split = np.stack([found >> 16, found >> 8 & 255, found & 255], 1)
    palette = np.stack([kept >> 16, kept >> 8 & 255, kept & 255], 1)
    nearest = np.array([((palette - colour) ** 2).sum(1).argmin() for colour in split], np.uint8)
    rows = nearest[where].reshape(height, width)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", head), (b"PLTE", palette.astype(np.uint8).tobytes()), (b"IDAT", zlib.compress(body, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts)


def main() -> int:
    chromium = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if chromium is None:
        print("no chromium on PATH", file=sys.stderr)
        return 2
    IMAGES.mkdir(parents=True, exist_ok=True)
    demo = Demo()
    try:
        demo.ask("POST", "/api/v1/events", {"events": people(datetime.now(UTC))})
        demo.wait_for_steps()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, (path, scheme) in PICTURES.items():
                picture = take(browser, demo, path, scheme)
                (IMAGES / f"{name}.png").write_bytes(picture)
                print(f"{name}.png: {len(picture) / 1000:.0f} kB")
            browser.close()
    finally:
        demo.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
