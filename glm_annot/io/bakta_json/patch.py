"""Writing predictions into the text of Bakta's JSON file, and taking them out again; all else stays as it is.

What is added, always as the last member of its object:

    "glm_annot": {"ec": ["2.7.1.2"], "ec_confidence": [0.981], ...}     in each predicted CDS
    "EC:2.7.1.2"                                                        in its db_xrefs, with `promote_ec`
    "glm_annot": {"provenance": "...", "operons": [...]}                in the file's own object
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from json import JSONDecodeError

from glm_annot.io import qualifiers as q
from glm_annot.io.bakta_json.text import (
    OURS,
    Item,
    cut,
    decoded,
    document_start,
    items,
    members,
    with_inserted,
    without,
)
from glm_annot.records import Contig, Gene, Genome, OperonCall, Predictions

PROVENANCE = "provenance"
_COMMENT = f"{q.TOOL}: {q.PROVENANCE_START}"
_PROMOTED = q.PROMOTED.removeprefix(q.PREFIX)
_NUMBERS = {q.EC_CONFIDENCE, q.ENZYME_CONFIDENCE, q.CONTEXT_FIT, q.OPERON_CONFIDENCE, q.OPERON_GENES}
_NUMBERS |= {q.START_CONFIDENCE, q.END_CONFIDENCE}
_Additions = list[tuple[int, str]]


def render(
    genome: Genome, predictions: Predictions, promote_ec: float | None = None, promote_to: str = q.TO_NOTE
) -> bytes:
    """The text that `genome` was read from, with the predictions added.

    Args:
        genome: as parsed from Bakta's JSON.
        predictions: what to add.
        promote_ec: probability from which a predicted EC number is also written into `db_xrefs`, where the
            file has none for the gene; None: never.
        promote_to: 'field', or 'note' to leave out those of hypothetical proteins, which must carry none.
    """
    assert genome.source is not None, "it was read from a file"
    text = decoded(genome.source.text)
    whole = members(text, document_start(text))
    features = items(text, next(member.value for member in whole if member.key == "features"))
    membership = q.memberships(predictions)
    additions: _Additions = []
    for gene in genome.genes:
        if gene.index not in predictions.genes:
            continue
        feature = members(text, features[genome.source.anchors[gene.index][0]].value)
        operon, _ = membership.get(gene.index, (None, 0))
        tags = q.gene_tags(
            gene, predictions.genes[gene.index], operon, operons=predictions.operons is not None
        )
        said = _content(tags)
        if promoted := _promoted(gene, predictions, promote_ec, promote_to, feature):
            additions += _into_references(text, feature, promoted)
            said[_PROMOTED] = promoted
        additions.append(_last_member(text, feature, said))
    code = genome.source.genetic_code
    about = {PROVENANCE: q.provenance_comment(predictions.provenance, promote_ec, promote_to, code)}
    operons = _operons(genome, predictions)
    additions.append(_last_member(text, whole, about if operons is None else about | {"operons": operons}))
    return with_inserted(text, additions).encode()


def strip(text: bytes) -> bytes:
    """`text` without what `render` added; the same bytes where no comment of ours says that it did."""
    if f'"{OURS}"'.encode() not in text:
        return text
    try:
        whole = decoded(text)
        listed = members(whole, document_start(whole))
        return text if _comment(listed) is None else without(whole, _cuts(whole, listed)).encode()
    except JSONDecodeError:
        return text


def provenance(text: bytes) -> str | None:
    """The comment of ours that says what made the additions in `text`; None where there is none."""
    try:
        whole = decoded(text)
        return _comment(members(whole, document_start(whole)))
    except JSONDecodeError:
        return None


def said(text: bytes) -> dict[int, dict[str, str]]:
    """What our additions in `text` say of a CDS, by its place in the list of features."""
    whole = decoded(text)
    listed = next(m.value for m in members(whole, document_start(whole)) if m.key == "features")
    contents = enumerate(feature.content for feature in items(whole, listed))
    ours = {place: each[OURS] for place, each in contents if isinstance(each, dict) and OURS in each}
    return {place: _texts(tags) for place, tags in ours.items() if isinstance(tags, dict)}


def _texts(tags: dict[str, object]) -> dict[str, str]:
    """What one of our objects says, by the names of our attributes."""
    listed = {name: value if isinstance(value, list) else [value] for name, value in tags.items()}
    return {q.PREFIX + name: ",".join(map(str, values)) for name, values in listed.items()}


def _comment(whole: list[Item]) -> str | None:
    """The comment of ours among the members of a file's own object."""
    ours = next((member.content for member in whole if member.key == OURS), None)
    said = ours.get(PROVENANCE) if isinstance(ours, dict) else None
    return said if isinstance(said, str) and said.startswith(_COMMENT) else None


def _cuts(text: str, whole: list[Item]) -> Iterator[tuple[int, int]]:
    yield from _without_ours(whole)
    for member in whole:
        if member.key == "features" and isinstance(member.content, list):
            for feature in items(text, member.value):
                if isinstance(feature.content, dict) and OURS in feature.content:
                    inside = members(text, feature.value)
                    yield from _without_ours(inside)
                    yield from _without_promoted(text, inside, feature.content[OURS])


def _without_ours(listed: list[Item]) -> Iterator[tuple[int, int]]:
    ours = {i for i, member in enumerate(listed) if member.key == OURS}
    return cut(listed, ours) if ours else iter(())


def _without_promoted(text: str, feature: list[Item], said: object) -> Iterator[tuple[int, int]]:
    promoted = said.get(_PROMOTED) if isinstance(said, dict) else None
    references = next((m for m in feature if m.key == "db_xrefs" and isinstance(m.content, list)), None)
    if not isinstance(promoted, list) or references is None:
        return
    listed = items(text, references.value)
    ours = {f"EC:{number}" for number in promoted}
    found = {i for i, item in enumerate(listed) if isinstance(item.content, str) and item.content in ours}
    if found:
        yield from cut(listed, found)


# ---- what is added ----


def _content(tags: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Our tags as JSON has them: lists, numbers and texts."""
    content: dict[str, object] = {}
    for name, value in tags:
        parts = value.split(",") if name in q.LISTS else [value]  # other commas are part of a name
        values = [float(part) if name in _NUMBERS else part for part in parts]
        content[name.removeprefix(q.PREFIX)] = values if name in q.LISTS else values[0]
    return content


def _promoted(
    gene: Gene, predictions: Predictions, promote_ec: float | None, promote_to: str, feature: list[Item]
) -> list[str]:
    has_references = any(m.key == "db_xrefs" and isinstance(m.content, list) for m in feature)
    if not has_references or q.ec_belongs_in_note(gene.product, promote_to):
        return []
    return list(q.promoted_ec(gene, predictions.genes[gene.index], promote_ec))


def _into_references(text: str, feature: list[Item], numbers: Sequence[str]) -> _Additions:
    references = next(member for member in feature if member.key == "db_xrefs")
    listed = items(text, references.value)
    quoted = [json.dumps(f"EC:{number}") for number in numbers]
    if not listed:
        return [(references.value + 1, ", ".join(quoted))]
    space = text[references.value + 1 : listed[0].start]
    return [(listed[-1].end, "".join(f",{space or ' '}{number}" for number in quoted))]


def _last_member(text: str, listed: list[Item], content: object) -> tuple[int, str]:
    """Where and what to insert so that an object has one member more, on a line of its own if others are."""
    opening = text.rindex("{", 0, listed[0].start)
    space = text[opening + 1 : listed[0].start]
    return listed[-1].end, f',{space or " "}"{OURS}": {json.dumps(content)}'


def _operons(genome: Genome, predictions: Predictions) -> list[dict[str, object]] | None:
    if predictions.operons is None:
        return None
    contigs = {contig.name: contig for contig in genome.contigs}
    names = {gene.index: gene.id for gene in genome.genes}
    return [_operon(operon, contigs[operon.contig], names) for operon in predictions.operons]


def _operon(operon: OperonCall, contig: Contig, names: dict[int, str]) -> dict[str, object]:
    """An operon in the terms of Bakta's features: over the origin its stop is before its start."""
    over = contig.length is not None and operon.end > contig.length
    place: dict[str, object] = {
        "id": operon.id,
        "sequence": operon.contig,
        "start": operon.start,
        "stop": operon.end - (contig.length or 0) if over else operon.end,
        "strand": q.SIGNS[operon.strand],
    }
    if over:
        place["edge"] = True
    borders = [(name, value) for name, value in q.operon_tags(operon) if name != q.OPERON_GENES]
    confidences = _content([(q.OPERON_CONFIDENCE, q.confidence(operon.confidence)), *borders])
    return place | {"genes": [names[index] for index in operon.genes]} | confidences
