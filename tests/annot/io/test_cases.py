"""Every situation of the collection of strange annotation files comes out as its `expected.tsv` says.

The collection is not part of the project: GLM_ANNOT_CASES names its folder, else it is ../shared/cases.
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from Bio import SeqIO

import glm_annot.io as annotation_io
from glm_annot.errors import InputError
from glm_annot.io.genbank import read as genbank
from glm_annot.io.sequences import Sequences
from glm_annot.io.source import read_bytes
from glm_annot.operons.features import Track
from glm_annot.records import Gene, Genome, Skip
from tests.support.fakes import fake_predictions
from tests.support.paths import ROOT
from tests.support.rewritten import as_embl

CASES = Path(os.environ.get("GLM_ANNOT_CASES", ROOT.parent / "shared" / "cases"))
PLAIN = "bp_genbank2gff3/right.gff"
# `expected.tsv` wants 8 rows, but the file is a stub: it has one CDS and 4 of its 9500 bases. So it must be
# refused as any file that is cut off, and the whole file, made of the same genome, is read in its stead.
STUB = "embl/x.embl"
STUB_MESSAGE = r"line 1: ID says 9500 bp but the sequence has 4; fetch or copy the file again"
SAME_GENOME = "order_location/order.gbk"
# What a refusal must say, where the status is 3.
MESSAGES = {
    "antismash_regions_concatenated/regions.gbk": r"line 214: a second record called NC_003888.*one by one",
    "concatenated_prokka_small_last_contig/all.gff": r"line 179: .*several files joined; give them one",
    "contig_join_no_sequence_no_translation/n.gb": r"no sequences.*--fasta.*--faa",
    "coords_float/t.gff": r"line 3: .*whole numbers",
    "cr_only/mac.gff3": r"old Mac line ends \(CR\); convert them: tr '\\r' '\\n' < mac.gff3",
    "fasta_garbage/g.gff3": r"line 172: this line of the FASTA part is not a sequence",
    "feature_named_gene_only/p.gff": r"gene lines but no CDS in this file; call genes first \(Bakta, Prokka",
    "gff2/x.gff": r"convert GTF or GFF2",
    "prodigal_default_gbk/prodigal.gbk": r"Prodigal's default \(gbk\) output; run it again with -f gff",
    "prodigal_sco/prodigal.sco": r"Prodigal's sco output; run it again with -f gff",
    "reversed_coordinates/bioperl.gbk": r"line 32: the CDS 7147..6914 .*write complement\(6914..7147\)",
    "spaces_for_tabs/sp.gff3": r"line 3: spaces where tabs belong",
    "utf16/powershell.gff3": r"UTF-16; convert it: iconv -f UTF-16 -t UTF-8 < powershell.gff3",
}
# What is said beside the result; of files that are not named, nothing.
WARNINGS = {
    "bp_genbank2gff3/bioperl.gff": [r"that disagree with the bases.*: 8 \(first: TST_00005.p0",
                                    r"phase column as codon_start"],
    "bp_genbank2gff3/no_translation.gff": [r"phase column as codon_start"],
    "bp_genbank2gff3/phase0.gff": [r"stated proteins .*: 8 \("],
    "cds_lowercase_type/c.gff": [r"features called cds, read as CDS: 8 "],
    "code4/myco.gff3": [r"all CDS in genetic code 4"],
    "duplicate_cds_id_big/dup80.gff3": [r"several genes.*ID EXAMPLE_00100, lines 24, 25"],
    "duplicated_line/dup.gff3": [r"stand twice, read as one gene: 1 \(ID TST_00015, lines 5, 11\)"],
    "fasta_partial/two.gff": [r"contigs without a sequence.*: 1 \(ctg2\)"],
    "frameshift_single_cds_translation_attr/k12_notranslation.gff3": [r"1 of 8 proteins .* \(first: b2891\)"],
    "genbank_duplicate_cds/d.gbk": [r"CDS at the same place as another, skipped: 1 "],
    "partial_codon_start/ncbi.gbk": [r"1 of 9 proteins"],
    "slippage_no_id_parent_only/noid.gff3": [r"without an ID but with one Parent.*gene-A, lines 4, 5"],
    "tmrna_beyond_end/bakta.gff3": [r"past the end of their contig.*: 1 \(TST_t1_gene, line 12, "],
    "tmrna_negative_start/bakta.gff3": [r"features other than CDS .*: 1 \(line 4\)"],
    "tmrna_negative_start/bakta_genelines.gff3": [r"features other than CDS .*: 2 \(first: line 4\)"],
    "track_lines/t.gff": [r"lack the 9 columns of GFF3, kept as they are: 1 \(line 3\)"],
    "wrong_translation/shifted.gbk": [r"stated proteins .*: 8 \(first: TST_00005\)"],
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A row of `expected.tsv`."""

    file: str
    options: str
    status: int
    rows: int | None
    right: str

    def read(self) -> Genome:
        """What the file says, and what its options name beside it."""
        words = self.options.split()
        pairs = zip(words[::2], words[1::2], strict=True)
        beside = {option.removeprefix("--"): CASES / name for option, name in pairs}
        return annotation_io.read(CASES / self.file, fasta=beside.get("fasta"), faa=beside.get("faa"))


def cases() -> list[object]:
    """All rows; where the collection is absent, one that skips."""
    if not CASES.is_dir():
        reason = f"no strange files at {CASES}; set GLM_ANNOT_CASES to their folder"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")]
    with (CASES / "expected.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    found: list[object] = []
    for row in rows:
        size = int(row["rows"]) if row["rows"] else None
        case = Case(row["file"], row["options"], int(row["status"]), size, row["right"])
        found.append(pytest.param(case, id=case.file))
    return found


@cache
def plain_proteins() -> list[str]:
    return sorted(gene.protein or "" for gene in annotation_io.read(CASES / PLAIN).genes)


def are_plain(genes: list[Gene]) -> bool:
    """Whether the proteins are those of the plain file.

    They may differ in a few residues: files in code 4 have TGA put in, files with open ends a first valine.
    """
    found = [gene.protein or "" for gene in genes]
    return len(found) == len(plain_proteins()) and all(
        any(_nearly_equal(protein, plain) for plain in plain_proteins()) for protein in found
    )


def _nearly_equal(a: str, b: str) -> bool:
    return len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) <= 0.03 * len(a)


@pytest.mark.parametrize("case", cases())
def test_case(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    if case.file == STUB:
        check_stub(case)
        return
    if case.status:
        with pytest.raises(InputError, match=MESSAGES[case.file]) as caught:
            case.read()
        assert caught.value.exit_status == 3
        return
    with caplog.at_level(logging.WARNING, logger="glm_annot"):
        genome = case.read()
    genes = list(genome.genes)
    assert len(genes) == case.rows
    rendered = annotation_io.render(genome, fake_predictions(genome))
    assert annotation_io.strip(rendered) == read_bytes(CASES / case.file)
    said = [record.getMessage() for record in caplog.records]
    expected = WARNINGS.get(case.file, [])
    assert len(said) == len(expected), said
    assert all(re.search(pattern, message) for pattern, message in zip(expected, said, strict=True)), said
    if "same proteins as the plain file" in case.right or "six genes called" in case.right:
        assert are_plain(genes)
    if case.file in CHECKS:
        CHECKS[case.file](genome)


def check_stub(case: Case) -> None:
    """The stub is refused. What it stands for is read, written as EMBL, and stripped to the same bytes."""
    with pytest.raises(InputError, match=STUB_MESSAGE):
        case.read()
    text = as_embl(SeqIO.parse(CASES / SAME_GENOME, "genbank"))
    genome = genbank.parse(case.file, text, Sequences())
    assert len(list(genome.genes)) == case.rows
    assert are_plain(list(genome.genes))
    rendered = annotation_io.render(genome, fake_predictions(genome))
    assert b"\nFT   operon " in rendered and b"\nCC   glm-annot: " in rendered
    assert annotation_io.strip(rendered) == text


# ---- what is right beyond that ----


def gene(genome: Genome, name: str) -> Gene:
    return next(gene for gene in genome.genes if name in (gene.id, gene.locus_tag))


def skips(*expected: Skip) -> Callable[[Genome], None]:
    def check(genome: Genome) -> None:
        assert [gene.skip for gene in genome.genes if gene.skip] == list(expected)

    return check


def ec(**expected: str) -> Callable[[Genome], None]:
    def check(genome: Genome) -> None:
        assert {name: ",".join(gene(genome, name).ec) for name in expected} == expected

    return check


def spaces(genome: Genome) -> None:
    ec(TST_00005="2.2.1.1")(genome)
    assert gene(genome, "TST_00010").product == "transaldolase"


def equals(genome: Genome) -> None:
    ec(TST_00005="2.2.1.1")(genome)
    assert gene(genome, "TST_00005").product == "alpha=beta hydrolase"


def interrupted(genome: Genome) -> None:
    (contig,) = genome.contigs
    track = Track.of(contig)
    assert track.gap.tolist() == [1926, 82, 24, 67, 173, 111]
    assert not track.same[3]  # the second part lies between


def all_read(genome: Genome) -> None:
    assert all(gene.protein and "X" not in gene.protein for gene in genome.genes)


def malformed_ec(genome: Genome) -> None:
    found = {number for gene in genome.genes for number in gene.ec}
    assert found >= {"2.2.1.2", "2.7.1.n3", "2.7.-.-", "6.3.2.38", "2.3.1.102"}


def origin(genome: Genome) -> None:
    (contig,) = genome.contigs
    assert contig.circular
    all_read(genome)


CHECKS: dict[str, Callable[[Genome], None]] = {
    "attr_spaces/s.gff": spaces,
    "code25/sr1.gbk": all_read,
    "contig_join_no_sequence/n.gb": all_read,
    "code4/myco.gff3": all_read,
    "ec_malformed/ec.gbk": malformed_ec,
    "ec_malformed/ec.gff3": malformed_ec,
    "faa_ncbi/ncbi.gff": all_read,
    "fasta_partial/two.gff": skips(*[Skip.NO_SEQUENCE] * 8),
    "frameshift_single_cds_translation_attr/k12.gff3": all_read,
    "genbank_duplicate_cds/d.gbk": skips(Skip.DUPLICATE),
    "geneious_gff/geneious.gff": all_read,
    "img_strand_numbers/img.gff": all_read,
    "interrupted_gene_join/sigK.gbk": interrupted,
    "interrupted_gene_join/sigK.gff3": interrupted,
    "lowercase_attrs/l.gff": ec(**{f"TST_{n:05}": "2.2.1.1" for n in range(5, 45, 5)}),
    "origin_minus/bakta_style.gff3": origin,
    "origin_minus/o.gbk": origin,
    "origin_minus/two_lines.gff3": origin,
    "pseudo_parent/p.gff": skips(Skip.PSEUDOGENE),
    "pseudo_parent/p2.gff": skips(Skip.PSEUDOGENE),
    "quoted_values/embl_conv.gff": ec(TST_00005="2.2.1.1", TST_00010="2.2.1.2"),
    "sec_pyl/pyl.gff3": all_read,
    "sec_pyl/sec.gbk": all_read,
    "sec_pyl/sec.gff3": all_read,
    "slippage_minus1/ncbi.gff": all_read,
    "slippage_no_id_parent_only/noid.gff3": all_read,
    "unescaped_equals/eq.gff": equals,
    "unescaped_semicolon/bacannot.gff": ec(TST_00005="2.2.1.1", TST_00010="2.2.1.2"),
}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no strange files at {CASES}; set GLM_ANNOT_CASES")
def test_the_shipped_model_calls_what_the_cases_say() -> None:
    from glm_annot.annotation import annotate
    from glm_annot.bundle import load

    model = load("mini")
    genome = annotation_io.read(CASES / PLAIN)
    assert (
        sum(bool(found.ec) for found in annotate(genome, model, operons=False).predictions.genes.values())
        == 6
    )
    shifted = annotation_io.read(CASES / "wrong_translation/shifted.gbk")
    called = annotate(shifted, model, operons=False).predictions.genes[gene(shifted, "TST_00005").index]
    assert [call.number for call in called.ec] == ["2.2.1.1"]
