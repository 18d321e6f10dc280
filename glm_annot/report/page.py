"""The report of an annotated file: one HTML page that needs no network and runs nothing from the file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from glm_annot import __version__
from glm_annot.errors import GlmAnnotError
from glm_annot.io import qualifiers as q
from glm_annot.io.table import DECIMALS
from glm_annot.report import charts, summary
from glm_annot.report.circle import circles
from glm_annot.report.genes import BINS, KNOWN_PLACE, LOW_FIT, Genes
from glm_annot.report.reliability import Reliability, of_model

_FOLDER = files("glm_annot.report") / "page"
_SCRIPTS = ("genes.js", "map.js", "table.js", "details.js", "main.js")  # one program, in this order
_EC_COLUMNS = ("ec_passed", "ec_existing", "ec_candidates", "context_ec")
# Nothing is loaded from anywhere, and of all scripts only ours runs, whatever the page may hold.
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; img-src data:"
# What the parts of the provenance comment are called on the page.
_WORDS = {
    "program": "Program",
    "model": "Model",
    "sha256": "SHA-256 of the model",
    "min_confidence": "Least confidence of an EC number",
    "link_threshold": "Least probability of an operon link",
    "ec_eco": "Evidence code of EC numbers",
    "operon_eco": "Evidence code of operons",
    "only": "Annotated only",
    "precision": "Precision of the protein encoder",
    "reference_sha256": "SHA-256 of the reference",
    "searched_by": "Reference searched by",
    "promote_ec": "EC numbers in the tool's own field from",
    "promote_to": "Those of hypothetical proteins in",
}
EVIDENCE = {
    "encoder": "the protein's embedding",
    "context": "the genomic language model",
    "neighbours": "enzymes beside it",
    "kmer": "protein families",
    "homology": "labelled proteins that resemble it",
}


def render(
    title: str,
    genes: Genes,
    comment: str,
    model: str | None = None,
    *,
    annotation: str,
    table: str | None,
) -> bytes:
    """The page.

    Args:
        title: what the genome is called.
        genes: all of them.
        comment: the provenance comment of the annotated file.
        model: name or folder of the model that made it, where its figures are looked for besides those that
            ship.
        annotation, table: the names of the files that it is about; None where there was no table.
    """
    provenance = parse_comment(comment)
    reliability = of_model(provenance.get("sha256", ""), model)
    names = _names(genes, reliability)
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["thousands"] = "{:,}".format
    environment.filters["bases"] = _bases
    environment.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    page = environment.from_string(_text("report.html")).render(
        title=title,
        version=__version__,
        policy=f"{_POLICY}; script-src 'sha256-{digest}'",
        style=Markup(_text("report.css")),
        script=Markup(script),
        data=Markup(_json(_data(title, genes, names))),
        genes=genes,
        names=names,
        provenance=provenance,
        words=_WORDS,
        reliability=reliability,
        annotation=annotation,
        table=table,
        low_fit=LOW_FIT,
        length=sum(contig.length or 0 for contig in genes.contigs),
        circles=_circles(genes),
        **_summary(genes, provenance, reliability),
    )
    return page.encode()


def _summary(
    genes: Genes, provenance: Mapping[str, str], reliability: Reliability | None
) -> dict[str, object]:
    """What the summary of the page is made of."""
    least = float(provenance.get("min_confidence", 0))
    has_ec = "ec_eco" in provenance
    return {
        "has_ec": has_ec,
        "counts": summary.counts(genes),
        "sentences": list(summary.sentences(genes, ec=has_ec, min_confidence=least)),
        "lists": summary.lists(genes),
        "called": charts.histogram(genes.called, int(least * BINS)),
        "fits": charts.histogram(
            {"low": genes.fits[:1] + [0] * (BINS - 1), "plain": [0, *genes.fits[1:]]}, scale=100
        ),
        "first_guesses": charts.curve(reliability.ec_bands if reliability else ()),
        "links": charts.curve(reliability.operon_bands if reliability else ()),
    }


def _circles(genes: Genes) -> list[tuple[int, str, Markup]] | None:
    """(number of the contig, its name, SVG) of each complete replicon; None without the libraries."""
    try:
        return [(each.place, each.name, Markup(each.svg)) for each in circles(genes)]
    except GlmAnnotError:
        return None


def _bases(number: int) -> str:
    """A length as people read it: '4.64 Mb', '86.8 kb'."""
    return f"{number / 1e6:.2f} Mb" if number >= 1e6 else f"{number / 1e3:.1f} kb"


def parse_comment(comment: str) -> dict[str, str]:
    """The parts of a provenance comment: {'model': 'mini 1.5.0', ...}."""
    parts = comment.removeprefix(f"{q.TOOL}:").split(";")
    pairs = (part.strip().partition("=") for part in parts)
    return {key: value for key, _, value in pairs if key}


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _script() -> str:
    """All scripts as one program, which leaves no names behind."""
    return '"use strict";\n(function () {\n' + "\n".join(map(_text, _SCRIPTS)) + "\n})();\n"


def _names(genes: Genes, reliability: Reliability | None) -> dict[str, str]:
    """Names of all EC numbers of the page, as far as the table or the model have them."""
    texts = (text for name in _EC_COLUMNS for text in genes.columns.get(name, ()))
    numbers = {number for text in texts if isinstance(text, str) for number in q.listed(text)}
    known = {**(reliability.ec_names if reliability else {}), **genes.numbers}
    return {number: known[number] for number in sorted(numbers) if number in known}


def _data(title: str, genes: Genes, names: Mapping[str, str]) -> dict[str, Any]:
    """What the scripts read."""
    columns = {
        name: values for name, values in genes.columns.items() if any(v not in ("", None) for v in values)
    }
    return {
        "title": title,
        "contigs": [[contig.name, contig.length, int(contig.circular)] for contig in genes.contigs],
        "columns": columns,
        "header": [name for name in genes.columns if name != "hypothetical"],
        "decimals": DECIMALS,
        "names": names,
        "evidence": EVIDENCE,
        "lowFit": LOW_FIT,
        "knownPlace": KNOWN_PLACE,
    }


def _json(content: Any) -> str:
    """JSON for a script element, which nothing in it can end."""
    text = json.dumps(content, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
