"""`python -m hf_augment`."""

from hf_augment.cli import main


if __name__ == "__main__":
    main()
