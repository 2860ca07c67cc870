"""A headless Chromium, spoken to over its pipe (the DevTools protocol, NUL behind each message).

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:8080/", width=390, height=844, dark=True)
        page.wait_for("document.title != ''")
        page.click("#more")
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from process import REAPER, TemporaryDirectory
from wait import wait_until

ANSWER_S = 30.0
COMMAND = (
    "exec chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run"
    " --disable-background-networking --disable-component-update --hide-scrollbars"
    " --user-data-dir={home} --remote-debugging-pipe 3<&{read} 4>&{write}"
)


class Browser:
    def __init__(self) -> None:
        self._home = TemporaryDirectory("chromium")
        for_it, self._to = os.pipe()
        self._from, by_it = os.pipe()
        self._number = 0
        self._rest = b""
        self.messages: list[dict[str, Any]] = []
        command = COMMAND.format(home=self._home.path, read=for_it, write=by_it)
        with open(self._home.path / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", command],
                pass_fds=(for_it, by_it),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        REAPER.watch_process(self._process.pid)
        os.close(for_it)
        os.close(by_it)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        self._home.close()

    def _read(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"Chromium did not answer in {ANSWER_S:g} s")
            piece = os.read(self._from, 1 << 20)
            if not piece:
                log = (self._home.path / "log").read_text(errors="replace")
                raise RuntimeError(f"Chromium ended:\n{log[-2000:]}")
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One command and its result; events that come meanwhile are kept in `messages`."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        end = time.monotonic() + ANSWER_S
        while True:
            message = self._read(end)
            if message.get("id") != self._number:
                self.messages.append(message)
            elif "error" in message:
                raise RuntimeError(f"{method}: {message['error']}")
            else:
                result: dict[str, Any] = message["result"]
                return result

    def open(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> "Page":
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, width)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )
        page.call("Runtime.enable")
        page.call("Network.enable")
        page.call("Page.navigate", url=url)
        return page


class Page:
    def __init__(self, browser: Browser, session: str, width: int) -> None:
        self._browser = browser
        self._session = session
        self.width = width

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def wait_for(self, expression: str, deadline_s: float = 30.0) -> None:
        wait_until(lambda: self.value(expression), deadline_s, lambda: f"{expression}\n{self.text('body')}")

    def screenshot(self, path: Path) -> None:
        """The whole page, not only what is in view."""
        image = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(image))

    def requested(self) -> list[str]:
        """Every URL that was asked for so far."""
        self.value("1")
        return [
            message["params"]["request"]["url"]
            for message in self._browser.messages
            if message.get("method") == "Network.requestWillBeSent"
        ]

    def faults(self) -> list[dict[str, Any]]:
        """What scripts have thrown."""
        self.value("1")
        thrown = "Runtime.exceptionThrown"
        return [m["params"] for m in self._browser.messages if m.get("method") == thrown]
