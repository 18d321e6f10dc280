"""EC numbers, operons and calibrated confidences for annotated prokaryotic genomes.

    >>> import glm_annot
    >>> annotation = glm_annot.annotate("bakta_output.gff3")
    >>> table = annotation.to_dataframe()
    >>> written = annotation.write("annotated.gff3")

Names are imported when first used, so that `import glm_annot` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glm_annot.annotation import Annotation, annotate
    from glm_annot.bundle import Model, list_models
    from glm_annot.bundle import load as load_model
    from glm_annot.ec.reference import Reference, read_reference
    from glm_annot.errors import GlmAnnotError, InputError, ModelError, UsageError
    from glm_annot.io import read, render, strip, write_table
    from glm_annot.model.embedding_cache import EmbeddingCache
    from glm_annot.records import Contig, ECCall, Gene, GenePrediction, Genome, OperonCall, Predictions, Skip

__version__ = "0.1.0"

# A checkout has `training/` and `plugins/` beside this folder, an installation inside it. They are
# found in both: inside a clone, `python -m glm_annot` takes the clone's package.
if not (Path(__file__).parent / "training").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[1]))

__all__ = [
    "Annotation",
    "Contig",
    "ECCall",
    "EmbeddingCache",
    "Gene",
    "GenePrediction",
    "Genome",
    "GlmAnnotError",
    "InputError",
    "Model",
    "ModelError",
    "OperonCall",
    "Predictions",
    "Reference",
    "Skip",
    "UsageError",
    "__version__",
    "annotate",
    "list_models",
    "load_model",
    "read",
    "read_reference",
    "render",
    "strip",
    "write_table",
]

# name -> (module, its name there)
_HOME = {
    "Model": ("bundle", "Model"),
    "Annotation": ("annotation", "Annotation"),
    "EmbeddingCache": ("model.embedding_cache", "EmbeddingCache"),
    "Reference": ("ec.reference", "Reference"),
    "annotate": ("annotation", "annotate"),
    "list_models": ("bundle", "list_models"),
    "load_model": ("bundle", "load"),
    "read_reference": ("ec.reference", "read_reference"),
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
