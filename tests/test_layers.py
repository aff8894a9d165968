"""A module imports only from a lower level or its own folder."""

import ast
from pathlib import Path

import pytest

import hf_augment


ROOT = Path(hf_augment.__file__).parent
LEVELS = [
    {"seeding", "fingerprints", "files", "progress", "checks", "extras"}
    | {"words", "sentences", "label_names", "label_sets", "text_pairs"},
    {"weights", "locks"},
    {"images", "metrics"},
    {"generators", "perturbations", "neighbours", "blending"},
    {"judges", "data"},
    {"filters"},
    {"synthesis"},
    {"training", "generator_trainers", "evaluation"},
    {"reporting"},
    {"hub"},
    {"study"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
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
        assert other == room or level(other) < level(room), f"{room} imports {other}"


def test_blending_knows_no_generator_and_the_core_no_kind_of_data():
    for path in (ROOT / "blending").glob("*.py"):
        assert not any("generators" in name or "synthesis" in name for name in imports(path))
    core = [*(ROOT / "blending").glob("*.py"), *(ROOT / "synthesis").glob("*.py"), ROOT / "training" / "trainer.py"]
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
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    listed = next(ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    assert sorted(listed) == hf_augment.__all__
    assert len(set(hf_augment.__all__)) == len(hf_augment.__all__)
    assert all(getattr(hf_augment, name).__doc__ for name in hf_augment.__all__)
