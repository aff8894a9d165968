"""A headless browser, driven over its DevTools pipe by the standard library alone."""

import fcntl
import json
import os
import shutil
import subprocess
import sys


NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
)
# A browser reads from file descriptor 3 and writes to 4. Numbers from 10 on are in nobody's way.
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


def find_browser():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page; `events` has what it reported: requests, console messages, exceptions, dialogs."""

    def __init__(self, path, profile):
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for pair in (os.pipe(), os.pipe()) for end in pair]
        theirs = (ends[0], ends[3])
        command = [sys.executable, "-c", START, *map(str, theirs), path, *FLAGS, f"--user-data-dir={profile}"]
        # A new group, so that the browser's own processes end with it.
        self._process = subprocess.Popen(command, pass_fds=theirs, stderr=subprocess.DEVNULL, start_new_session=True)
        for end in theirs:
            os.close(end)
        self._read, self._write = ends[2], ends[1]
        self._count, self._session, self._buffer, self.events = 0, None, b"", []

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self._session = None
        self.call("Browser.close")
        self._process.wait(30)
        os.close(self._read)
        os.close(self._write)

    def call(self, method, **params):
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, path, width, height, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        seen = len(self.events)
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events[seen:]):
            self._next()

    def evaluate(self, expression):
        """The value of an expression in the page; the page's own policy does not concern it."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def of(self, *methods):
        return [event["params"] for event in self.events if event["method"] in methods]

    def _next(self):
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        answer = json.loads(text)
        if "method" in answer:
            self.events.append(answer)
        return answer
