"""Optional dependencies: an import that fails names the extra of this package to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def optional_imports(extra: str) -> Iterator[None]:
    """
    Wraps the imports of packages that only an extra installs.

    Example:

    ```python
    >>> from hf_augment.extras import optional_imports
    >>> with optional_imports("filters"):
    ...     from sklearn.neighbors import NearestNeighbors
    ```

    Args:
        extra (`str`): An extra of `pyproject.toml` that installs all packages imported inside the block.

    Raises:
        ImportError: If one of them is missing or of another version. The message gives the pip command.
    """
    try:
        yield
    except ImportError as error:
        message = f'{error}. It comes with the extra {extra!r}: run `pip install "hf_augment[{extra}]"`.'
        raise ImportError(message, name=error.name) from error
