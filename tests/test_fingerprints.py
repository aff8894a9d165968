"""What identifies weights, and what does not."""

import torch

from hf_augment.fingerprints import callable_fingerprint, weights_fingerprint


def test_weights_fingerprint_covers_names_dtypes_shapes_and_bytes():
    def module(**tensors):
        result = torch.nn.Module()
        for name, tensor in tensors.items():
            result.register_buffer(name, tensor)
        return result

    zeros = torch.zeros(2, 3)
    different = [
        module(),
        module(a=zeros),
        module(b=zeros),
        module(a=zeros, b=zeros),
        module(a=zeros.reshape(3, 2)),
        module(a=zeros.int()),
        module(a=zeros.bfloat16()),
        module(a=-zeros),
        module(a=torch.ones(2, 3).bfloat16()),
        module(a=torch.tensor(True)),
        module(a=torch.empty(0)),
    ]
    fingerprints = [weights_fingerprint(each) for each in different]
    assert len(set(fingerprints)) == len(fingerprints)
    assert all(len(fingerprint) == 16 and int(fingerprint, 16) >= 0 for fingerprint in fingerprints)
    # The order of registration and the memory layout are no part of it, and hashing changes nothing.
    values = torch.arange(6.0).reshape(2, 3)
    transposed = values.t().contiguous().t()
    assert weights_fingerprint(module(a=zeros, b=values)) == weights_fingerprint(module(b=transposed, a=zeros))


def test_weights_fingerprint_of_tied_weights():
    def tied(tie):
        first, second = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False)
        first.weight.data.fill_(1)
        second.weight.data.fill_(1)
        if tie:
            second.weight = first.weight
        return torch.nn.Sequential(first, second)

    assert weights_fingerprint(tied(True)) == weights_fingerprint(tied(False))


def test_a_function_of_a_script_is_the_same_one_in_the_processes_that_it_starts():
    def judge(examples):
        return examples

    judge.__module__ = "__main__"
    at_home = callable_fingerprint(judge)
    judge.__module__ = "__mp_main__"
    assert callable_fingerprint(judge) == at_home
    assert at_home.startswith("__main__.")
