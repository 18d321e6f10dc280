"""The only place that spells attribute and qualifier names, theirs and ours, and the form of an EC number.

GFF3 attributes and GenBank qualifiers are both handled as `Mapping[str, Sequence[str]]` (name -> decoded
values), which is what gffutils and Biopython give. Where the tools do not agree on the case of a name
(`eC_number`, `ec_number`, `EC_number`), it is compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from glm_annot.hypothetical import is_hypothetical
from glm_annot.records import ContextNames, Gene, GenePrediction, OperonCall, Predictions, Provenance

Attributes = Mapping[str, Sequence[str]]
Memberships = dict[int, tuple[OperonCall, int]]

TOOL = "glm-annot"  # the source column of our lines and the mark of our comments
PREFIX = "glm_"  # all our attribute names begin with it; lower case, because GFF3 reserves capitals

EC = "glm_ec"
EC_CONFIDENCE = "glm_ec_confidence"
EVIDENCE = "glm_ec_evidence"
ENZYME_CONFIDENCE = "glm_enzyme_confidence"
CONTEXT_FIT = "glm_context_fit"
CONTEXT_NAME = "glm_context_name"
CONTEXT_CONFIDENCE = "glm_context_confidence"
CONTEXT_EC = "glm_context_ec"
CONTEXT_EC_CONFIDENCE = "glm_context_ec_confidence"
CONTEXT_GENERA = "glm_context_genera"
CONTEXT_NEIGHBOURS = "glm_context_neighbours"
OPERON = "glm_operon"
OPERON_ID = r"glm_operon_\d{4,}"  # pattern of its values
OPERON_CONFIDENCE = "glm_operon_confidence"
OPERON_GENES = "glm_genes"
OPERON_EVIDENCE = "glm_operon_evidence"
START_CONFIDENCE = "glm_start_confidence"
END_CONFIDENCE = "glm_end_confidence"
PROMOTED = "glm_promoted"
# All our attributes on features that we did not write; other attributes with the prefix are the user's.
NAMES = frozenset(
    {
        *(EC, EC_CONFIDENCE, EVIDENCE, ENZYME_CONFIDENCE, OPERON, OPERON_CONFIDENCE, PROMOTED),
        *(CONTEXT_FIT, CONTEXT_NAME, CONTEXT_CONFIDENCE, CONTEXT_EC, CONTEXT_EC_CONFIDENCE),
        *(CONTEXT_GENERA, CONTEXT_NEIGHBOURS),
        "glm_evidence",  # what EVIDENCE was called in files of earlier versions
    }
)
LISTS = frozenset(
    {EC, EC_CONFIDENCE, EVIDENCE, PROMOTED, CONTEXT_NEIGHBOURS, OPERON_EVIDENCE}
)  # values that are lists, with commas
PROVENANCE_START = "program="  # of the comment that says what made our additions
NAME = "Name"
STANDARD_NAME = "standard_name"  # INSDC's for what people call a feature; /label is no longer one of its own
OPERON_OF = "operon"  # INSDC's name of the operon that a feature is or belongs to
NOTE = "Note"
ONTOLOGY = "Ontology_term"
# (attribute, prefix of the value) in which the tools keep EC numbers in GFF3
BAKTA_EC = ("Dbxref", "EC:")
PROKKA_EC = ("eC_number", "")
INSDC_EC = ("ec_number", "")
EC_ATTRIBUTES = (PROKKA_EC, INSDC_EC, ("EC_number", ""))
SIGNS = {1: "+", -1: "-", 0: "."}  # of a strand; a dot where the file gives none
TO_NOTE, TO_FIELD = "note", "field"  # where a promoted EC number of a hypothetical protein goes
NO_OPERON = "none"  # the value of glm_operon for a gene that stands alone

EC_EVIDENCE_CODE = (
    "ECO:0008006"  # Evidence and Conclusion Ontology: deep learning, used in automatic assertion
)
OPERON_EVIDENCE_CODE = "ECO:0007333"  # the same ontology: operon prediction

_EC_NAMES = ("ec_number", "ec", "em_ec")  # INSDC and most tools; JGI; eggNOG-mapper
_REFERENCE_NAMES = ("dbxref", "db_xref", "ontology_term")  # Bakta; GenBank; RAST's GFF3
_EC_REFERENCE = re.compile(r"^(?:EC|KEGG_ENZYME):", re.IGNORECASE)
_EC_SEPARATORS = re.compile(r"[,|;/\s]+")
_EC_NUMBER = re.compile(
    r"(?:EC:?)?([1-7](?=\.)(?:\.\d+){0,2}(?:\.-)*|[1-7]\.\d+\.\d+\.[A-Za-z]?\d+)\.?", re.IGNORECASE
)
_UNNAMED_PRODUCT = re.compile(r"hypothetical protein|unknown", re.IGNORECASE)
_DESCRIPTION_SOURCE = re.compile(r"\s*\[Source:[^\]]*\]$")
_SLIPPED = re.compile(
    r"ribosomal[ _-]slippage|programmed (?:\S+ )?(?:ribosomal )?frame-?shift", re.IGNORECASE
)
_TRANS_SPLICED = re.compile(r"trans[ _-]?splic", re.IGNORECASE)
_RECODED = {"U": ("TGA", re.compile(r"aa:\s*Sec\b|selenocystein", re.IGNORECASE)),
            "O": ("TAG", re.compile(r"aa:\s*Pyl\b|pyrrolysin", re.IGNORECASE))}  # fmt: skip


# ---- reading: what the file says of a CDS ----


def unquoted(values: Sequence[str]) -> list[str]:
    """The values of one attribute without quotes around each, or around all of them together."""
    found = [v[1:-1] if len(v) > 1 and v.startswith('"') and v.endswith('"') else v for v in values]
    if len(found) > 1 and found[0].startswith('"') and found[-1].endswith('"'):
        found[0], found[-1] = found[0][1:], found[-1][:-1]
    return found


def values(attributes: Attributes, *names: str) -> list[str]:
    """All values of the attributes called any of `names` (lower case), in order of the file."""
    return [value for key, many in attributes.items() if key.strip().lower() in names for value in many]


def text(attributes: Attributes, name: str) -> str:
    """The value of the attribute called `name`, several joined by a comma; '' where absent.

    Where none is called exactly so, the case of letters does not matter.
    """
    found = attributes.get(name)
    return ",".join(values(attributes, name.lower()) if found is None else found).strip()


def exact_text(attributes: Attributes, name: str) -> str:
    """The same of the attribute called exactly `name`, for names whose case has a meaning in GFF3."""
    return ",".join(attributes.get(name, ())).strip()


def product(attributes: Attributes) -> str:
    """The product's name: `product`, else `NAME` or `Name` where that is not just the gene's symbol."""
    stated = text(attributes, "product") or exact_text(attributes, "NAME")
    if stated:
        return stated
    name = exact_text(attributes, "Name")
    return "" if name in (text(attributes, "gene"), text(attributes, "protein_id")) else name


def gene_symbol(attributes: Attributes) -> str:
    """The `Name` of a CDS's gene where it may be the gene's symbol: one word, and not just its locus tag."""
    name = exact_text(attributes, "Name")
    tags = {text(attributes, "locus_tag"), text(attributes, "gene_id"), exact_text(attributes, "ID")}
    return "" if name in tags or " " in name or text(attributes, "transcript_id") else name


def described(attributes: Attributes) -> str:
    """What a CDS's gene or transcript says of the product; Ensembl's `description` without its source."""
    stated = text(attributes, "product") or text(attributes, "description")
    return _DESCRIPTION_SOURCE.sub("", stated)


def is_pseudo(attributes: Attributes) -> bool:
    """Whether `pseudo` or `pseudogene` is set, or the biotype is pseudogene.

    A name without a value, or with an empty one (`pseudo=""`), counts, as a bare /pseudo does in GenBank; one
    with a value that denies it does not.
    """
    if "pseudogene" in values(attributes, "gene_biotype", "biotype"):
        return True
    denied = {"false", "no", "0"}
    present = [key for key in attributes if key.strip().lower() in ("pseudo", "pseudogene")]
    return any(
        {value.strip().lower() for value in attributes[key]} - denied or not attributes[key]
        for key in present
    )


def existing_ec(attributes: Attributes) -> tuple[str, ...]:
    """The EC numbers a CDS already carries, in any tool's dialect, in normal form, without duplicates."""
    referenced = [v for v in values(attributes, *_REFERENCE_NAMES) for v in v.split(",")]
    references = [_EC_REFERENCE.sub("", v.strip()) for v in referenced if _EC_REFERENCE.match(v.strip())]
    return ec_numbers([*values(attributes, *_EC_NAMES), *references])


def ec_numbers(texts: Iterable[str]) -> tuple[str, ...]:
    """EC numbers out of free values: without prefix `EC:`, split at `, | ; /` and blanks, no duplicates."""
    found = (normal_ec(piece) for value in texts for piece in _EC_SEPARATORS.split(value))
    return tuple(dict.fromkeys(number for number in found if number))


def normal_ec(number: str) -> str | None:
    """`number` as four fields ('EC:2.7.1' -> '2.7.1.-'); None where it is no EC number."""
    match = _EC_NUMBER.fullmatch(number.strip())
    if match is None:
        return None
    fields = match[1].split(".")
    return ".".join([*fields, "-", "-", "-"][:4]) if len(fields) <= 4 else None


def recoded_stops(attributes: Attributes) -> dict[str, str]:
    """Stop codons that the CDS reads as a residue: {'TGA': 'U'} selenocysteine, {'TAG': 'O'} pyrrolysine."""
    said = " ".join(values(attributes, "transl_except", "note", "recoding", "exception", "product"))
    return {codon: residue for residue, (codon, pattern) in _RECODED.items() if pattern.search(said)}


def is_slipped(attributes: Attributes) -> bool:
    """Whether the CDS states ribosomal slippage (programmed frameshifting)."""
    return _states(attributes, "ribosomal_slippage", _SLIPPED)


def is_trans_spliced(attributes: Attributes) -> bool:
    """Whether the CDS states trans-splicing."""
    return _states(attributes, "trans_splicing", _TRANS_SPLICED)


def _states(attributes: Attributes, name: str, pattern: re.Pattern[str]) -> bool:
    said = " ".join(values(attributes, "exception", "note"))
    return any(key.strip().lower() == name for key in attributes) or pattern.search(said) is not None


def open_start(attributes: Attributes, strand: int) -> bool | None:
    """Whether the CDS says that its start lies beyond the sequence; None if it does not say.

    Prodigal writes `partial=10` (left, right end), NCBI `partial=true`, `start_range=.,N` and `end_range=N,.`
    """
    partial = text(attributes, "partial").lower()
    if re.fullmatch(r"[01]{2}", partial):
        return partial[0 if strand == 1 else 1] == "1"
    if partial != "true":
        return None
    start_range, end_range = text(attributes, "start_range"), text(attributes, "end_range")
    return start_range.startswith(".") if strand == 1 else end_range.endswith(".")


# ---- writing: what we say of it ----


def confidence(probability: float) -> str:
    """A probability as it is written in an annotation: three decimals."""
    return f"{probability:.3f}"


def memberships(predictions: Predictions) -> Memberships:
    """Gene index -> its operon and its position there, counted from 1 in the order of transcription."""
    found: Memberships = {}
    for operon in predictions.operons or ():
        in_order = operon.genes if operon.strand == 1 else operon.genes[::-1]
        found.update({gene: (operon, position) for position, gene in enumerate(in_order, start=1)})
    return found


def gene_tags(
    gene: Gene, prediction: GenePrediction, operon: OperonCall | None, *, operons: bool
) -> list[tuple[str, str]]:
    """Our (name, value) pairs for one predicted CDS, in the order they are written.

    What a gene may be called is said of hypothetical proteins alone; the table says it of all.

    Args:
        gene: the CDS.
        prediction: what the model says of the gene.
        operon: the operon it belongs to, None for a lone gene.
        operons: whether operons were asked for at all; without them nothing is said of any.
    """
    tags: list[tuple[str, str]] = []
    if prediction.ec:
        tags.append((EC, ",".join(call.number for call in prediction.ec)))
        tags.append((EC_CONFIDENCE, ",".join(confidence(call.confidence) for call in prediction.ec)))
        if prediction.evidence:
            tags.append((EVIDENCE, prediction.evidence))
    if prediction.enzyme is not None:
        tags.append((ENZYME_CONFIDENCE, confidence(prediction.enzyme)))
    if prediction.context_fit is not None:
        tags.append((CONTEXT_FIT, f"{prediction.context_fit:.1f}"))
    if prediction.context is not None and is_hypothetical(gene.product):
        tags += _context_tags(prediction.context)
    if operons:
        tags.append((OPERON, operon.id if operon else NO_OPERON))
        if operon:
            tags.append((OPERON_CONFIDENCE, confidence(operon.confidence)))
    return tags


def genera(number: int, of: int) -> str:
    """In how many genera of how many: '23/31'."""
    return f"{number}/{of}"


def neighbours(context: ContextNames) -> str:
    """The names that stand beside a gene's family elsewhere, with the genera: 'ribD:23/31,ribE:20/31'."""
    return ",".join(f"{name}:{genera(number, of)}" for name, number, of in context.beside)


def _context_tags(context: ContextNames) -> list[tuple[str, str]]:
    tags = []
    if context.name and context.confidence is not None:
        tags += [(CONTEXT_NAME, context.name), (CONTEXT_CONFIDENCE, confidence(context.confidence))]
    if context.ec and context.ec_confidence is not None:
        tags += [(CONTEXT_EC, context.ec), (CONTEXT_EC_CONFIDENCE, confidence(context.ec_confidence))]
    if context.of and tags:
        tags.append((CONTEXT_GENERA, genera(context.genera, context.of)))
    if context.beside and not context.name:
        tags.append((CONTEXT_NEIGHBOURS, neighbours(context)))
    return tags


def operon_name(operon: OperonCall, genes: Mapping[int, Gene]) -> str:
    """What people read: the first and the last gene in order of transcription, 'thrA-thrC'.

    Args:
        operon: the operon.
        genes: all genes by their index.
    """
    ends = (operon.genes[0], operon.genes[-1])[:: operon.strand]
    return "-".join(gene.name or gene.locus_tag or gene.id for gene in map(genes.__getitem__, ends))


def operon_tags(operon: OperonCall) -> list[tuple[str, str]]:
    """Our (name, value) pairs for one operon: its size, how sure its borders are, what speaks for it."""
    tags = [(OPERON_GENES, str(len(operon.genes)))]
    if operon.start_confidence is not None:
        tags.append((START_CONFIDENCE, confidence(operon.start_confidence)))
    if operon.end_confidence is not None:
        tags.append((END_CONFIDENCE, confidence(operon.end_confidence)))
    if operon.evidence:
        tags.append((OPERON_EVIDENCE, ",".join(operon.evidence)))
    return tags


def promoted_ec(gene: Gene, prediction: GenePrediction, threshold: float | None) -> tuple[str, ...]:
    """The EC numbers to write in the tool's own place: sure enough, and only where the source has none.

    A class prefix is left out where a fuller number under it is promoted as well.
    """
    if threshold is None or gene.ec:
        return ()
    sure = [call.number for call in prediction.ec if call.confidence >= threshold]
    return tuple(n for n in dict.fromkeys(sure) if not any(is_ec_prefix(n, other) for other in sure))


def is_ec_prefix(general: str, special: str) -> bool:
    """Whether EC class `general` ('2.7.1.-') properly contains `special` ('2.7.1.2')."""
    stem = general.rstrip("-.")
    return stem != special.rstrip("-.") and special.startswith(stem + ".")


def ec_belongs_in_note(product: str, promote_to: str) -> bool:
    """Whether the product is of the kind from which ENA deletes EC numbers, so that a note must hold ours."""
    return promote_to == TO_NOTE and _UNNAMED_PRODUCT.search(product) is not None


def not_ours(what: str) -> str:
    """The message for a file with what looks like additions of ours, but without our comment."""
    return (
        f"{what} names that {TOOL} writes, but the file has no comment '{TOOL}: {PROVENANCE_START}...' that "
        "says so; put the comment back, or remove or rename these"
    )


def listed(values: str) -> list[str]:
    """The values that stand in one entry of our note."""
    return [value.strip() for value in values.split(",") if value.strip()]


def promoted_note(number: str) -> str:
    """The note that holds a promoted EC number."""
    return f"predicted EC {number} ({TOOL})"


def provenance_comment(
    provenance: Provenance,
    promote_ec: float | None = None,
    promote_to: str = TO_NOTE,
    genetic_code: int | None = None,
) -> str:
    """One line, without comment sign, that says what made our additions; it begins with `glm-annot: `.

    The evidence codes stand for what was predicted; float32 is not mentioned. Equal lines of two runs mean
    that they make the same of the same input.
    """
    parts = [
        f"{PROVENANCE_START}{provenance.program}",
        f"model={provenance.model} {provenance.model_version}",
        f"sha256={provenance.model_sha256}",
        f"min_confidence={provenance.min_confidence:g}",
        f"link_threshold={provenance.link_threshold:g}",
    ]
    if provenance.ec:
        parts.append(f"ec_eco={EC_EVIDENCE_CODE}")
    if provenance.operons:
        parts.append(f"operon_eco={OPERON_EVIDENCE_CODE}")
    if provenance.only_hypothetical:
        parts.append("only=hypothetical")
    if genetic_code is not None:
        parts.append(f"genetic_code={genetic_code}")
    if provenance.precision != "fp32":
        parts.append(f"precision={provenance.precision}")
    if provenance.reference:
        parts += [f"reference_sha256={provenance.reference}", f"searched_by={provenance.searcher}"]
    if promote_ec is not None:
        parts.append(f"promote_ec={promote_ec:g}")
        parts += [f"promote_to={promote_to}"] if promote_to != TO_NOTE else []
    return f"{TOOL}: " + "; ".join(part.replace("\n", " ").replace("\r", " ") for part in parts)
