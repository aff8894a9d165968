"""Tiny models on one thread: on two cores, threads that wait for each other cost more than the sums."""

import os


# Before anything imports torch, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch

from tests.toy_server import ToyServer, serving


if torch.backends.cpu.get_cpu_capability() == "AVX2":
    # There, convolutions of as few channels as tiny models have ended processes of torch 2.14 by a signal, or spoiled
    # their memory. With other instructions, and with channels as models outside of tests have them, they did not.
    os.environ.setdefault("DNNL_MAX_CPU_ISA", "SSE41")


@pytest.fixture
def server():
    """A toy server on a free port, whose address is `server.url`."""
    toy = ToyServer()
    with serving(toy) as toy.url:
        yield toy
