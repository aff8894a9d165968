"""The options of the commands that train on one's own data: what learns, what generates, and those of the Trainer."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from hf_augment.commands.data_options import add_data_arguments, data_arguments
from hf_augment.commands.options import nearest


def add_own_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the data, the seed, and `--help-all`."""
    add_data_arguments(parser)
    parser.add_argument("--seed", type=int, default=42, help="of everything that is random (default: 42)")
    parser.add_argument("--help-all", action=_HelpAll, nargs=0, help="show the options of the Trainer, too, and exit")


def add_arm_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds which classifier is trained, and where it is saved."""
    parser.add_argument(
        "--arm",
        help="way of training, by its name in `hf_augment experiment` (default: prompted; trained for images)",
    )
    parser.add_argument(
        "--output_dir", metavar="FOLDER", help="where the classifier is saved (default: runs/DATA-ARM)"
    )
    add_share_argument(parser)


def add_share_argument(group: Any) -> None:
    """Adds how many of the rows without labels are learned, to a parser or a group of one."""
    group.add_argument(
        "--pseudo_label_share",
        type=float,
        metavar="SHARE",
        help="of rows without labels that are taken for a class, the share that pseudo_labels learns: the surest "
        "(default: 0.6)",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what learns and what generates."""
    group = parser.add_argument_group("models")
    group.add_argument("--model", help="classifier of texts: Hub id or folder (default: MiniLM)")
    group.add_argument("--max_length", type=int, metavar="TOKENS", help="what the classifier sees of a text")
    group.add_argument(
        "--generator_model", metavar="MODEL", help="chat model: Hub id or folder (default: SmolLM2-135M-Instruct)"
    )
    group.add_argument(
        "--generator_url",
        metavar="URL",
        help="address of a server that serves it, such as http://127.0.0.1:8000/v1 (vLLM, llama.cpp, Ollama, ...)",
    )
    group.add_argument("--token_variable", metavar="NAME", help="environment variable of the server's token")
    group.add_argument("--max_requests", type=int, metavar="N", help="requests that each process may send to it")
    group.add_argument(
        "--send_examples", action="store_true", default=None, help="show labelled texts to a server elsewhere"
    )
    group.add_argument(
        "--label_judge",
        choices=["probe", "prompted"],
        help="who judges labels: what the classifier's own model learns of your rows (default), or the served model",
    )
    group.add_argument(
        "--min_label_probability",
        type=float,
        metavar="P",
        help="least probability of the class asked for, by who judges; 0: nobody (default: by what the judge knows)",
    )
    group.add_argument("--gguf_file", metavar="FILE", help="GGUF file in it")
    group.add_argument(
        "--backend", choices=["torch", "openvino"], help="what samples texts (default: the faster one here)"
    )
    group.add_argument("--kind", metavar="WORDS", help="what one text is, such as 'message from a customer to a bank'")
    group.add_argument("--descriptions", metavar="FILE", help="what each label means, as `inspect` drafts it")
    group.add_argument("--prompt", metavar="FILE", help="JSON file of a prompt of your own")
    group.add_argument("--max_new_tokens", type=int, metavar="TOKENS", help="longest generated text")


class _HelpAll(argparse.Action):
    """Prints the options of the Trainer below one's own."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from hf_augment.study.settling import training_parser

        parser.print_help()
        print("\nThe Trainer's options:\n")
        print(training_parser().format_help().partition("\n\n")[2])
        parser.exit()


def read_more(options: argparse.Namespace, add_arguments: Callable[[argparse.ArgumentParser], None]) -> None:
    """
    Reads what was typed for the Trainer, `more`, and for the data, `opening`. Raises `ValueError` for what neither the
    command nor the Trainer knows.
    """
    from hf_augment.study.settling import training_parser

    parser = training_parser()
    given, unknown = parser.parse_known_args(options.more)
    if unknown:
        own = argparse.ArgumentParser()
        add_arguments(own)
        raise ValueError(f"{nearest(unknown, own, parser)}. --help and --help-all list what there is.")
    options.more, options.opening = vars(given), data_arguments(options) | {"seed": options.seed}
