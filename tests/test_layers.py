"""A module imports only from a lower level or its own folder."""

import ast
from pathlib import Path

import pytest

import hf_augment


ROOT = Path(hf_augment.__file__).parent
LEVELS = [
    {"seeding", "schema", "images", "small_resnet"},
    {"generators", "filters", "metrics", "image_rows", "perturbations", "cards"},
    {"synthesis", "blending"},
    {"training_args"},
    {"compatibility", "blended_run", "trainer", "guard", "generator_trainers", "evaluation"},
    {"hub"},
    {"experiments"},
    {"cli"},
    {"__main__"},
]
SAME_ROOM = [{"compatibility", "blended_run", "trainer", "guard"}]
MODULES = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]


def level(room):
    return next(i for i, rooms in enumerate(LEVELS) if room in rooms)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield str(node.module)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_from_below_or_from_its_own_room(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imports(path):
        if not name.startswith("hf_augment"):
            continue
        assert name != "hf_augment", f"{path} imports the flat API, which is the highest level"
        other = name.split(".")[1]
        together = any({room, other} <= rooms for rooms in SAME_ROOM)
        assert other == room or together or level(other) < level(room), f"{room} imports {other}"


def test_blending_knows_no_generator_and_the_core_no_kind_of_data():
    for path in (ROOT / "blending").glob("*.py"):
        assert not any("generators" in name or "synthesis" in name for name in imports(path))
    core = [*(ROOT / "blending").glob("*.py"), *(ROOT / "synthesis").glob("*.py"), ROOT / "trainer.py"]
    for path in core:
        assert not any(name in path.read_text().lower() for name in ("image", "pil.", "causal_lm import")), path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path):
    assert len(path.read_text().splitlines()) < 400
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines < 50, f"{node.name} has {lines} lines"


def test_the_public_names_are_listed_once_and_exist():
    # Constants first, as ruff wants them.
    assert sorted(hf_augment.__all__, key=lambda name: (not name.isupper(), name)) == hf_augment.__all__
    assert len(set(hf_augment.__all__)) == len(hf_augment.__all__)
    assert all(getattr(hf_augment, name).__doc__ for name in hf_augment.__all__)
