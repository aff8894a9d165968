"""Train a classifier from its dataset and, on the fly, from a generator: the Hugging Face `Trainer`, extended."""

import lazy_loader


__version__ = "0.1.0"

# Names are listed in __init__.pyi, for people and type checkers; a module is imported when one of its names is used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
