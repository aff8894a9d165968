"""
What is lost on the way from a server? Texts a second of one that answers after 200 ms, and memory of many texts.

    python recipes/benchmarks/served.py
    python recipes/benchmarks/served.py --examples 100000 --seconds 10

The server is a toy in another process of this machine. Memory is that of a process with a store of all answers and the
shards on disk, for so many texts and for a tenth of them; speed is with 16 requests in flight, which are 80 a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from hf_augment import Endpoint, EndpointGenerator, LabelPrompt
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.shards import ShardStore


NAMES = [str(label) for label in range(10)]
#: Seconds until an answer, and requests in flight, where speed is measured; slots of a shard where memory is.
DELAY, IN_FLIGHT, SLOTS = 0.2, 16, 256


class Answers(BaseHTTPRequestHandler):
    """Answers each request with its seed, after `delay` seconds."""

    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    delay = 0.0

    def do_POST(self) -> None:
        seed = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["seed"]
        time.sleep(self.delay)
        choice = {"text": f"A text of seed {seed}.", "finish_reason": "stop"}
        content = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 5}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def serve(delay: float) -> None:
    """Serves on a free port, which it prints, until its input ends."""
    Answers.delay = delay
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


@contextlib.contextmanager
def generator_of(folder: Path, delay: float) -> Iterator[EndpointGenerator]:
    """A generator whose server is in another process."""
    command = [sys.executable, __file__, "--serve", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        yield EndpointGenerator(
            Endpoint(url, "m", concurrency=IN_FLIGHT), NAMES, LabelPrompt(), answers=folder / "answers.sqlite"
        )
        server.stdin.close()


def speed(folder: Path, seconds: int) -> float:
    """Texts a second of a server that takes its time."""
    with generator_of(folder, DELAY) as generator:
        # Finds out what the server honours, and opens connections.
        generator.generate([0] * IN_FLIGHT, seed=0)
        count = int(seconds * IN_FLIGHT / DELAY)
        start = time.perf_counter()
        generator.generate([0] * count, seed=1)
        return count / (time.perf_counter() - start)


def memory(folder: Path, count: int) -> float:
    """Peak memory of this process, in MB, after so many texts of a server that answers at once."""
    with generator_of(folder, 0.0) as generator:
        store = ShardStore(folder / "shards", {"shard_size": SLOTS}, "label", NAMES)
        pipeline = SynthesisPipeline(generator, (), np.full(10, 0.1), 0, SLOTS, 1)
        for index in range(count // SLOTS):
            store.write(pipeline.make(index))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Measures, and prints both figures beside their bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100_000, help="texts, for memory")
    parser.add_argument("--seconds", type=int, default=10, help="how long speed is measured")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.memory is not None:
            print(memory(Path(folder), options.memory))
            return
        found, most = speed(Path(folder), options.seconds), IN_FLIGHT / DELAY
    print(f"{found:.1f} texts a second of {most:.0f}: {found / most:.3f}, bar: at least 0.9", flush=True)
    few, many = (
        float(subprocess.check_output([sys.executable, __file__, "--memory", str(count)], text=True).split()[-1])
        for count in (options.examples // 10, options.examples)
    )
    print(f"{few:.1f} MB, and {many:.1f} MB for {options.examples} texts: {many / few:.3f}, bar: at most 1.1")


if __name__ == "__main__":
    main()
