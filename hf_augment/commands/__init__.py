"""The commands of the console; each module has `add_arguments(parser)` and `run(options)`."""
