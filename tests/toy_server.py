"""A server that speaks OpenAI's protocol, with faults on demand: on the loopback, with no model."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


WORDS = ("a", "quiet", "loud", "red", "slow", "film", "song", "storm", "river", "smile", "of", "with", "before")


def written(body, salt=""):
    """Some words that the request and its seed decide."""
    asked = json.dumps([body.get("messages"), body.get("prompt"), body.get("seed"), salt])
    digest = hashlib.sha256(asked.encode()).digest()
    return " ".join(WORDS[byte % len(WORDS)] for byte in digest[:6]) + "."


class ToyServer:
    """
    Counts requests, and answers each by `faults.pop(0)` where there is one: a status, or a function of the handler.

    Args:
        honours (`set[str]`): Of "seed", "seed_in_company", "logprobs", "response_format".
        delay (`float`): Seconds before an answer.
    """

    def __init__(self, honours=("seed", "seed_in_company", "logprobs", "response_format"), delay=0.0):
        self.honours, self.delay = set(honours), delay
        self.requests, self.tokens, self.faults = [], [], []
        self.most_at_once, self._busy, self.lock = 0, 0, threading.Lock()
        self.answers_to = None  # Overrides the text: a function of the body.

    def reply(self, body):
        """The answer to a request."""
        salt = "" if "seed" in self.honours else str(len(self.requests))
        if "seed_in_company" not in self.honours and self._busy > 1:
            salt = str(len(self.requests))
        text = self.answers_to(body) if self.answers_to else written(body, salt)
        if "response_format" in body and "response_format" in self.honours:
            text = json.dumps({"text": text})
        choice = {"finish_reason": "stop", "index": 0}
        choice |= {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
        if body.get("logprobs") and "logprobs" in self.honours:
            top = [{"token": "A", "logprob": -0.2}, {"token": "B", "logprob": -1.8}]
            choice["logprobs"] = {"content": [{"token": "A", "logprob": -0.2, "top_logprobs": top}]}
        return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 6}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it a small answer waits for the acknowledgement of its head.
    disable_nagle_algorithm = True

    def do_POST(self):
        toy = self.server.toy
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with toy.lock:
            toy._busy += 1
            toy.most_at_once = max(toy.most_at_once, toy._busy)
            toy.requests.append((self.path, body))
            toy.tokens.append(self.headers.get("Authorization"))
            fault = toy.faults.pop(0) if toy.faults else None
        try:
            time.sleep(toy.delay)
            if callable(fault):
                fault(self)
            elif fault is not None:
                self.send(fault, b'{"error": "as it was told to"}')
            else:
                self.send(200, json.dumps(toy.reply(body)).encode())
        finally:
            with toy.lock:
                toy._busy -= 1

    def send(self, status, content, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        """A client that went away is no fault of the server."""


@contextmanager
def serving(toy):
    """Serves a toy on a free port; gives its address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.toy = toy
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
