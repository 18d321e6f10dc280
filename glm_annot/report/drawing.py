"""What pictures share: the colours of the page, the libraries that draw, and files without date or chance."""

from __future__ import annotations

import re
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm_annot.errors import GlmAnnotError, UsageError
from glm_annot.report.genes import Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
_DPI = 200  # of PNG
# matplotlib's settings: no chance in names, texts of SVG that can be edited, and the figure's own size.
_SAVED = {"svg.hashsalt": "glm-annot", "svg.fonttype": "none", "savefig.bbox": "standard"}
_FIRST_COLOURS = re.compile(r":root \{(.*?)\}", re.DOTALL)  # of the style sheet: those of the light page
_COLOUR = re.compile(r"--([a-z-]+): (#[0-9a-f]{6})")
# What each colour of a gene means, in the order of the legend.
KINDS: dict[Kind, str] = {
    "new": "new EC",
    "agrees": "EC agrees",
    "differs": "EC differs",
    "missed": "EC in file only",
    "named": "no EC",
    "hypothetical": "hypothetical",
}


def colours() -> dict[str, str]:
    """The colours of the light page by their names, '#009e73'."""
    style = (files("glm_annot.report") / "page" / "report.css").read_text(encoding="utf-8")
    first = _FIRST_COLOURS.search(style)
    assert first is not None
    return dict(_COLOUR.findall(first[1]))


def library(name: str) -> Any:
    """A module of the libraries that draw.

    Raises:
        GlmAnnotError: they are not installed.
    """
    from importlib import import_module

    try:
        # pyCirclize sets how all figures are saved as soon as it is imported; nobody else shall notice.
        with import_module("matplotlib").rc_context():
            return import_module(name)
    except ImportError:
        raise GlmAnnotError(
            "pictures need more libraries; install them: pip install 'glm-annot[plot]'"
        ) from None


def picture_format(path: Path) -> str:
    """The format that a file's name asks for.

    Raises:
        UsageError: it asks for none that there is.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise UsageError(f"{path}: pictures are written as .svg, .png or .pdf; name one of these")
    return ending


def saved(figure: Figure, format: str) -> bytes:
    """The bytes of a picture, the same each time: nothing in it is of the time or by chance."""
    without_date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[format]
    content = BytesIO()
    with library("matplotlib").rc_context(_SAVED):
        figure.savefig(content, format=format, dpi=_DPI, metadata=without_date)
    return content.getvalue()
