"""Who may import whom: the layers of pyproject.toml, and what rooms keep out, read off the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import glm_annot
from tests.support.paths import ROOT

LIBRARY = sorted((ROOT / "glm_annot").rglob("*.py"))
TRAINING = sorted((ROOT / "training").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))

# Modules that compute and know no files.
TENSOR_MODULES = {
    ROOT / "glm_annot" / name
    for name in (
        "model/glm.py",
        "model/esm.py",
        "model/windows.py",
        "model/context.py",
        "ec/head.py",
        "operons/head.py",
        "pipeline.py",
    )
}
MOST_MODULES = 12  # side by side in a folder


def imports(path: Path, *, top_level: bool = False) -> Iterator[tuple[str, int]]:
    """(absolute module name, line) of each import; relative ones keep their dots.

    With `top_level`, only those that run when the module is imported: not within functions or TYPE_CHECKING.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = _executed(tree) if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), node.lineno
            if node.level == 0:
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _executed(tree: ast.Module) -> Iterator[ast.stmt]:
    return (node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))


def offenders(paths: list[Path], *forbidden: str) -> list[str]:
    """`file:line imports module` for each import of a forbidden package or anything below it."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for name, line in imports(path)
        if any(name == package or name.startswith(package + ".") for package in forbidden)
    ]


def test_offenders_are_found() -> None:
    assert offenders([Path(__file__).resolve()], "ast") == [
        "tests/project/test_architecture.py:5 imports ast"
    ]


def test_rooms_import_only_rooms_below_them() -> None:
    done = subprocess.run(["lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_folder_holds_more_modules_than_one_sees_at_a_glance() -> None:
    folders = Counter(path.parent for path in LIBRARY + TRAINING + PLUGINS if path.name != "__init__.py")
    assert {str(folder): count for folder, count in folders.items() if count > MOST_MODULES} == {}


def test_library_knows_no_deepspeed() -> None:
    # The layers do not see `glm_annot.training`, which is what `training` is called once it is installed.
    assert offenders(LIBRARY, "deepspeed", "glm_annot.training", "glm_annot.plugins") == []


def test_input_and_output_know_no_torch() -> None:
    paths = [path for path in LIBRARY if path.is_relative_to(ROOT / "glm_annot" / "io")]
    assert len(paths) > 3
    forbidden = (
        "torch",
        "esm",
        "safetensors",
        "glm_annot.bundle",
        "glm_annot.pipeline",
        "glm_annot.model",
    )
    assert offenders(paths, *forbidden) == []


def test_model_knows_no_files() -> None:
    paths = [path for path in LIBRARY if path in TENSOR_MODULES]
    assert len(paths) == len(TENSOR_MODULES)
    assert offenders(paths, "glm_annot.io", "pathlib", "os", "json") == []


def test_records_and_errors_stand_alone() -> None:
    paths = [ROOT / "glm_annot" / name for name in ("records.py", "errors.py")]
    assert offenders(paths, "glm_annot", "torch", "numpy") == []


def test_only_one_file_imports_fair_esm_and_one_deepspeed() -> None:
    everything = LIBRARY + TRAINING + PLUGINS
    assert {line.split(":")[0] for line in offenders(everything, "esm")} == {"glm_annot/model/esm.py"}
    assert {line.split(":")[0] for line in offenders(everything, "deepspeed")} == {
        "training/common/engine.py"
    }


def test_nothing_at_inference_is_executable_or_scikit_learn() -> None:
    assert offenders(LIBRARY, "pickle", "joblib", "sklearn", "dill", "cloudpickle", "marshal") == []
    calls = [path.name for path in LIBRARY if "torch.load(" in path.read_text(encoding="utf-8")]
    assert calls == []


def test_training_imports_itself_relatively_and_the_library_absolutely() -> None:
    assert offenders(TRAINING, "training", "glm_annot.training") == []
    relative = [name for path in LIBRARY + PLUGINS for name, _ in imports(path) if name.startswith(".")]
    assert relative == []


def test_command_line_imports_only_light_modules() -> None:
    light = {"click", "filelock", "glm_annot", "__future__", *sys.stdlib_module_names}
    named = [ROOT / "glm_annot" / name for name in ("cli/batch.py", "cli/one_input.py", "cli/loading.py")]
    written = [ROOT / "glm_annot/results" / name for name in ("files.py", "output.py", "write.py")]
    commands = sorted((ROOT / "glm_annot/cli/commands").glob("*.py"))
    assert len(commands) > 3
    for path in (ROOT / "glm_annot/cli/app.py", *named, *written, *commands):
        for imported, line in imports(path, top_level=True):
            assert imported.split(".")[0] in light, f"{path.name}:{line} imports {imported}"


def printed_by(code: str) -> str:
    """What a program of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["glm_annot", "glm_annot.cli.app"])
def test_importing_is_light(module: str) -> None:
    heavy = "{'torch', 'esm', 'Bio', 'gffutils', 'numpy'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    assert printed_by(code) == "[]"


def test_loading_a_model_loads_no_compiler() -> None:
    code = "import sys, glm_annot; glm_annot.load_model('mini'); print('torch._dynamo' in sys.modules)"
    assert printed_by(code) == "False"


def test_reading_a_recipe_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'esm', 'deepspeed', 'sklearn', 'scipy'}"
    code = "import sys; from glm_annot.training.recipe import read; read('mini')"
    assert printed_by(f"{code}; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_public_door() -> None:
    assert {"read", "annotate", "render", "load_model", "__version__"} <= set(glm_annot.__all__)
    for name in glm_annot.__all__:
        assert getattr(glm_annot, name) is not None
    assert set(glm_annot.__all__) <= set(dir(glm_annot))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = glm_annot.nonsense
