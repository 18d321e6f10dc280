"""Output folders of annotation tools: finds the plugin for a folder, which names the files to read.

Plugins register under the entry point group `glm_annot.plugins`; a new plugin needs no change here:

    entry_points={"glm_annot.plugins": ["mytool = my_package:plugin"]}

The library imports no plugin by name. One that fails to load is an error that names it, never a silent gap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from glm_annot.errors import GlmAnnotError, InputError

GROUP = "glm_annot.plugins"
_ANNOTATION = re.compile(
    r"\.(?:gff3?|gbk?|gbff|embl)(?:\.gz)?$", re.IGNORECASE
)  # only to name files in a message


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What to read of a tool's output folder.

    Attributes:
        tool: name of the plugin that knew the folder.
        annotation: the GFF3 or GenBank file to annotate.
        fasta: sequences of the contigs, where the annotation lacks them.
        faa: proteins as the tool translated them, where it wrote them.
        details: a JSON of Bakta's, which has all EC numbers and the genetic code.
        genome: what results are named after; '' for the annotation's own name.
    """

    tool: str
    annotation: Path
    fasta: Path | None = None
    faa: Path | None = None
    details: Path | None = None
    genome: str = ""


class Plugin(Protocol):
    """Knows one tool's output folder."""

    name: str

    def find(self, folder: Path) -> list[ToolOutput]:
        """The annotations in a folder that this tool wrote; empty when it wrote none of it."""


def plugins() -> dict[str, Plugin]:
    """All installed plugins by name.

    Raises:
        GlmAnnotError: one cannot be loaded.
    """
    found: dict[str, Plugin] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            found[entry.name] = entry.load()
        except Exception as error:
            raise GlmAnnotError(
                f"the plugin {entry.name!r} ({entry.value}) cannot be loaded: {error}"
            ) from error
    return found


def find_output(folder: Path) -> ToolOutput:
    """The one annotation in a tool's output folder.

    Raises:
        InputError: no plugin knows the folder, or it holds several annotations.
    """
    installed = plugins()
    found = [output for plugin in installed.values() for output in plugin.find(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(output.annotation.name for output in found)
        raise InputError(
            f"this folder holds {len(found)} annotations ({names}); name the one to read", folder
        )
    known = ", ".join(installed) or "none"
    files = [path.name for path in sorted(folder.iterdir()) if _may_be_annotation(path)]
    if files:
        listed = ", ".join([*files[:3], *(["..."] if len(files) > 3 else [])])
        raise InputError(
            f"this folder is not the output of a known tool ({known}); name an annotation file in it "
            f"({listed}), or give {folder}/* for all of them",
            folder,
        )
    raise InputError(
        f"this folder is not the output of a known tool ({known}), and no file in it is named like an "
        "annotation; name the file to read",
        folder,
    )


def _may_be_annotation(path: Path) -> bool:
    return _ANNOTATION.search(path.name) is not None and ".glm." not in path.name and path.is_file()


def beside(annotation: Path, suffixes: Sequence[str]) -> Path | None:
    """The file with the annotation's stem and the first of these suffixes that exists, plain or gzipped."""
    name = annotation.name.removesuffix(".gz")
    stem = name.rpartition(".")[0] or name
    candidates = (annotation.with_name(stem + suffix + gz) for suffix in suffixes for gz in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)
