"""Push what is staged, as often as it takes."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, HfApi, RepoUrl, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import parse_ratelimit_headers, validate_repo_id
from transformers.utils import logging

from hf_augment.hub.staging import HUB_LOCK, staged_repositories
from hf_augment.locks import locked


logger = logging.get_logger(__name__)

Result = TypeVar("Result")

#: Seconds before each new attempt at a call; as many attempts as there are waits, and one.
WAITS = (1.0, 4.0, 16.0)
#: Seconds a busy Hub may ask us to wait: its limits count in windows of five minutes. Beyond, the push ends.
LONGEST_WAIT = 300.0

LOG_IN = "run `hf auth login`, or set HF_TOKEN to a token with write access"


class PushError(OSError):
    """A push that did not arrive whole. It says what arrived, what did not, and how to repeat it."""


def push(
    run_dir: str | Path, repo_id: str | None = None, private: bool | None = None, token: str | None = None
) -> list[str]:
    """
    Pushes what [`stage`] has written, each repository in one commit. Calls that fail for a passing reason (no
    connection, a busy or broken Hub) are tried again, a few times. What already arrived is not uploaded again, so a
    push that failed is simply repeated.

    Example:

    ```python
    from hf_augment import push

    push("runs/imdb", "user/imdb", private=True)
    ```

    Args:
        run_dir (`str` or `Path`): The folder of the run.
        repo_id (`str`, *optional*):
            Beginning of the names of all repositories, such as `"user/name"`; without a user it is the token's.
            Defaults to the folder's name.
        private (`bool`, *optional*):
            Whether new repositories are private; with `True`, one that exists and is public is an error. Defaults to
            the account's setting.
        token (`str`, *optional*): Defaults to `HF_TOKEN` or to what `hf auth login` has stored.

    Returns:
        `list[str]`: The addresses of the repositories.

    Raises:
        `ValueError`: If nothing is staged, or `repo_id` is no name for a repository.
        `PushError`: If something did not arrive: it says what did, what did not, and the command that repeats it.
    """
    root = Path(run_dir)
    # What cannot be written to is not laid out anew; and a lock would make a folder where there is none.
    alone = locked(root / HUB_LOCK, "the publishing of this folder") if os.access(root, os.W_OK) else nullcontext()
    with alone:
        return _push(root, repo_id, private, token)


def _push(root: Path, repo_id: str | None, private: bool | None, token: str | None) -> list[str]:
    name = repo_id or root.absolute().name
    wanted = {f"{name}-{entry['suffix']}": entry for entry in staged_repositories(root)}
    secret = check_push("repo_id", name, wanted, token)
    api, arrived = HfApi(token=token), []
    for repository, entry in wanted.items():
        try:
            arrived.append(_send(api, root / "hub" / entry["folder"], entry, repository, private))
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            why = _why(error).replace(secret, "***")
            missing = list(wanted)[len(arrived) :]
            done = [url.repo_id for url in arrived]
            raise PushError(
                f"{repository} could not be pushed: {why}. Arrived: {', '.join(done) or 'nothing'}. Did not arrive: "
                f"{', '.join(missing)}. Repeat with: {_command(root, repo_id, private)}"
            ) from error
    return [str(url) for url in arrived]


def check_push(argument: str, name: str, repositories: Iterable[str], token: str | None = None) -> str:
    """
    Checks what can be known of a push before there is anything to push.

    Args:
        argument (`str`): The argument that gave the name, for the error.
        name (`str`): Beginning of the names of all repositories.
        repositories (`Iterable[str]`): Their names.
        token (`str`, *optional*): Defaults to `HF_TOKEN` or to what `hf auth login` has stored.

    Returns:
        `str`: The token.

    Raises:
        `ValueError`: If one is no name for a repository.
        `PushError`: If there is no token.
    """
    for repository in repositories:
        try:
            validate_repo_id(repository)
        except HFValidationError as error:
            raise ValueError(
                f"{argument}={name!r} makes the name {repository!r}, which the Hub does not take: pass user/name, of "
                "letters, digits, '-', '_' and '.'."
            ) from error
    secret = token or get_token()
    if secret is None:
        raise PushError(f"Not logged in: {LOG_IN}.")
    return secret


def _send(api: HfApi, folder: Path, entry: dict[str, Any], repo_id: str, private: bool | None) -> RepoUrl:
    kind = entry["repo_type"]
    url = _retrying(partial(api.create_repo, repo_id, repo_type=kind, private=private, exist_ok=True))
    if private and not _retrying(partial(api.repo_info, url.repo_id, repo_type=kind)).private:
        raise ValueError(f"it exists and is public, but private={private} was asked for; make it private on the Hub")

    def commit() -> None:
        # Made anew for every attempt, so that the client asks the Hub what it has: where only the answer to a commit
        # was lost, there is nothing left to do.
        additions = [CommitOperationAdd(name, folder / name) for name in entry["files"]]
        message = "Upload with hf_augment"
        api.create_commit(url.repo_id, additions, repo_type=kind, commit_message=message)

    _retrying(commit)
    return url


def _retrying(call: Callable[[], Result]) -> Result:
    """Repeats what the client does not repeat itself: to create a repository, to check a card, to commit."""
    for wait in WAITS:
        try:
            return call()
        except (HTTPError, json.JSONDecodeError) as error:  # A broken Hub answers the check of a card with HTML.
            wait = max(wait, _asked_to_wait(error))
            if not _may_pass(error) or wait > LONGEST_WAIT:
                raise
            logger.warning(f"The Hub did not answer as it should ({_why(error)}). Trying again in {wait:g} s.")
            time.sleep(wait)
    return call()


def _may_pass(error: HTTPError | json.JSONDecodeError) -> bool:
    if not isinstance(error, HfHubHTTPError):
        return True
    # 408: too slow; 412: somebody else's commit came between; 429: too many requests.
    return error.response.status_code in (408, 412, 429) or error.response.status_code >= 500


def _asked_to_wait(error: Exception) -> float:
    """Seconds the Hub asked for, in its own header or in the general one."""
    if not isinstance(error, HfHubHTTPError):
        return 0.0
    limit = parse_ratelimit_headers(error.response.headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    after = error.response.headers.get("Retry-After", "")
    return float(after) if after.isdigit() else 0.0


def _why(error: Exception) -> str:
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"the Hub refused the token ({error.response.status_code}); {LOG_IN}"
    if wait := _asked_to_wait(error):
        return f"the Hub asks to wait for {wait:g} s"
    if isinstance(error, json.JSONDecodeError):
        return "what answered is not the Hub, or it is broken: check the network and HF_ENDPOINT"
    # Of an upload, the client says which file, and its cause why.
    parts = [error, error.__cause__] if isinstance(error, RuntimeError) and error.__cause__ else [error]
    return ": ".join(" ".join(str(part).split()).rstrip(".") or type(part).__name__ for part in parts)


def _command(run_dir: str | Path, repo_id: str | None, private: bool | None) -> str:
    options = [*(["--repo_id", repo_id] if repo_id else []), *(["--private"] if private else [])]
    return shlex.join(["hf_augment", "push", str(run_dir), *options])
