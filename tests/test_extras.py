"""The core is light, and what is missing says which extra installs it."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hf_augment
from hf_augment.extras import optional_imports


ROOT = Path(hf_augment.__file__).parent
PROJECT = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = importlib.metadata.packages_distributions()
OPTIONAL = {
    *("PIL", "diffusers", "evaluate", "matplotlib", "openvino", "openvino_genai", "peft", "rich"),
    *("sacrebleu", "sklearn", "timm", "torchmetrics", "torchvision"),
}


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_after(imports):
    return set(json.loads(run(f"{imports}\nimport json, sys\nprint(json.dumps([*sys.modules]))").splitlines()[-1]))


def test_the_core_imports_nothing_heavy_that_a_trainer_does_not():
    stock = modules_after("from transformers import Trainer; import datasets")
    core = modules_after(
        "from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, Filter, Generator, ShardStore"
    )
    added = {name.partition(".")[0] for name in core - stock}
    assert not added & (OPTIONAL | {"scipy", "pandas"})
    # Small ones that no library brings.
    assert added <= {"hf_augment", "lazy_loader"} | set(sys.stdlib_module_names)


def test_the_package_alone_imports_neither_torch_nor_transformers():
    assert not modules_after("import hf_augment") & {"torch", "transformers", "datasets"}


CORE = [
    *("AugmentationGuard", "AugmentingTrainer", "AugmentingTrainingArguments", "CausalLMGenerator"),
    *("CausalLMGeneratorTrainer", "ClassifierFeatures", "ClassifierJudge", "DCGANGenerator", "DatasetGenerator"),
    "DiffusionGenerator",
    *(
        "EasyDataAugmentation",
        "Filter",
        "Fluency",
        "Generator",
        "GeneratorEnsemble",
        "ImageClassifierJudge",
        "ImageCollator",
    ),
    *(
        "ImageRows",
        "InstructPrompt",
        "LabelAgreement",
        "LabelPrompt",
        "NearDuplicates",
        "PromptedJudge",
        "RobustnessCallback",
    ),
    *("SamplingConfig", "ShardStore", "classification_metrics", "load_metric", "load_texts", "open_data"),
    *("perturb_texts", "push", "robustness"),
]
ADAPTERS = """
from transformers import LlamaConfig, LlamaForCausalLM
from hf_augment.generator_trainers.causal_lm import CausalLMGeneratorTrainingArguments, _with_adapters
model = LlamaForCausalLM(LlamaConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
_with_adapters(model, CausalLMGeneratorTrainingArguments("out", lora_rank=2))
"""
OPENVINO = """
from hf_augment import SamplingConfig
from hf_augment.generators.openvino_backend import openvino_draws
openvino_draws(SamplingConfig())
"""
DIFFUSION = """
from hf_augment.generators.diffusion.loading import load_pipeline
load_pipeline("none", from_images=False)
"""
MISSING = [
    ("sklearn", "filters", "from hf_augment import FeatureCopies"),
    ("sklearn", "filters", "from hf_augment import OutOfFoldJudge"),
    ("sklearn", "filters", "from hf_augment import generalization"),
    ("timm", "images", "from hf_augment import SmallResNetForImageClassification"),
    ("matplotlib", "images", "from hf_augment import GANTrainer"),
    ("PIL", "images", "from hf_augment import corrupt_images"),
    ("evaluate", "metrics", "from hf_augment import load_metric; load_metric('accuracy')"),
    ("evaluate", "metrics", "import hf_augment.metrics.features"),
    ("diffusers", "diffusion", DIFFUSION),
    ("peft", "lora", ADAPTERS),
    ("openvino", "openvino", OPENVINO),
    ("matplotlib", "report", "import hf_augment.reporting.report"),
    ("rich", "all", "import hf_augment.study.study"),
]
WITHOUT_EXTRAS = f"""
import json, sys
sys.modules.update(dict.fromkeys({sorted(OPTIONAL)}))
from hf_augment import {", ".join(CORE)}
said = []
for code in {[code for *_, code in MISSING]}:
    try:
        exec(code)
    except ImportError as error:
        said.append(str(error))
    else:
        said.append("nothing")
print(json.dumps(said))
"""


def test_the_core_works_without_extras_and_the_rest_says_which_is_missing():
    said = json.loads(run(WITHOUT_EXTRAS).splitlines()[-1])
    for (package, extra, code), message in zip(MISSING, said, strict=True):
        assert package in message, code
        assert f'pip install "hf_augment[{extra}]"' in message, code


def test_an_import_that_fails_for_another_reason_keeps_its_words():
    with pytest.raises(ImportError, match="cannot import name 'nothing_of_that_name'"), optional_imports("report"):
        from json import nothing_of_that_name  # noqa: F401


def distributions(requirements):
    """Names of the distributions, extras of this package unfolded."""
    for requirement in requirements:
        if own := re.match(r"hf_augment\[(.*)\]", requirement):
            for extra in own[1].split(","):
                yield from distributions(PROJECT["optional-dependencies"][extra])
        else:
            yield re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def imported(tree):
    """Each third-party import: its package, and the extra of the block that it stands in."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in names:
            package = name.partition(".")[0]
            if package not in sys.stdlib_module_names | {"hf_augment"}:
                yield package, extra_of(node)


def extra_of(node):
    while node := getattr(node, "parent", None):
        if isinstance(node, ast.With) and "optional_imports" in ast.unparse(node.items[0]):
            return ast.literal_eval(node.items[0].context_expr.args[0])
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return "all"
    return None


#: Checked elsewhere: by the block in the room's `__init__`, by `evaluate` when it loads a metric, and in the file that
#: travels with a model.
ELSEWHERE = {"reporting": "report", "study": "all", "metrics": "metrics", "images/small_resnet.py": "images"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_module_imports_is_installed_with_it(path):
    where = str(path.relative_to(ROOT))
    core = {*distributions(PROJECT["dependencies"]), "markupsafe"}
    for package, extra in imported(ast.parse(path.read_text())):
        extra = extra or ELSEWHERE.get(where) or ELSEWHERE.get(where.partition("/")[0])
        installed = core | set(distributions(PROJECT["optional-dependencies"][extra]) if extra else ())
        names = {name.lower().replace("_", "-") for name in DISTRIBUTIONS.get(package, [package])}
        assert names & installed, f"{where} imports {package}, which neither the core nor the extra {extra!r} installs"


def test_all_is_all_that_recipes_need():
    optional = PROJECT["optional-dependencies"]
    extras = optional.keys() - {"all", "dev", "diffusion"}
    every = {name for extra in extras for name in distributions(optional[extra])}
    assert set(distributions(optional["all"])) == every
