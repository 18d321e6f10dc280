"""EC numbers, operons and calibrated confidences for annotated prokaryotic genomes.

    >>> import glm_annot
    >>> model = glm_annot.load_model("mini")
    >>> genome = glm_annot.read("bakta_output.gff3")
    >>> predictions = glm_annot.annotate(genome, model)
    >>> text = glm_annot.render(genome, predictions)

Names are imported when first used, so that `import glm_annot` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glm_annot.bundle import Model
    from glm_annot.bundle import load as load_model
    from glm_annot.errors import GlmAnnotError, InputError, ModelError, UsageError
    from glm_annot.io import read, render, strip, write_table
    from glm_annot.pipeline import annotate
    from glm_annot.records import Contig, ECCall, Gene, GenePrediction, Genome, OperonCall, Predictions, Skip

__version__ = "0.1.0"

# A checkout has `training/` and `plugins/` beside this folder, an installation inside it. They are
# found in both: inside a clone, `python -m glm_annot` takes the clone's package.
if not (Path(__file__).parent / "training").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[1]))

__all__ = [
    "Contig",
    "ECCall",
    "Gene",
    "GenePrediction",
    "Genome",
    "GlmAnnotError",
    "InputError",
    "Model",
    "ModelError",
    "OperonCall",
    "Predictions",
    "Skip",
    "UsageError",
    "__version__",
    "annotate",
    "load_model",
    "read",
    "render",
    "strip",
    "write_table",
]

# name -> (module, its name there)
_HOME = {
    "Model": ("bundle", "Model"),
    "annotate": ("pipeline", "annotate"),
    "load_model": ("bundle", "load"),
    **{name: ("io", name) for name in ("read", "render", "strip", "write_table")},
    **{name: ("errors", name) for name in ("GlmAnnotError", "InputError", "ModelError", "UsageError")},
    **{
        name: ("records", name)
        for name in (
            "Contig",
            "ECCall",
            "Gene",
            "GenePrediction",
            "Genome",
            "OperonCall",
            "Predictions",
            "Skip",
        )
    },
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'glm_annot' has no attribute {name!r}")
    module, attribute = _HOME[name]
    value = getattr(import_module(f"glm_annot.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
