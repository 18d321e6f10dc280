"""Bakta's JSON: what is read of it, and reversible writing. The files are made here."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glm_annot.io as annotation_io
from glm_annot.errors import InputError
from glm_annot.io import qualifiers
from glm_annot.io.bakta_json import patch
from glm_annot.io.bakta_json import read as bakta
from glm_annot.io.sequences import Sequences
from glm_annot.records import Genome, Skip
from tests.support.damage import check_damaged
from tests.support.fakes import PROVENANCE, fake_predictions
from tests.support.made_genomes import ancestors, bakta_document, make_genome

MADE = make_genome("Made up", ancestors(8), seed=1)
Change = Callable[[dict[str, Any]], None]


def document() -> dict[str, Any]:
    return bakta_document(MADE)


def written(content: dict[str, Any], indent: int | None = 4) -> bytes:
    return json.dumps(content, indent=indent).encode()


def changed(change: Change) -> bytes:
    content = document()
    change(content)
    return written(content)


def parse(text: bytes, sequences: Sequences | None = None) -> Genome:
    return bakta.parse("in.json", text, sequences or Sequences())


# ---- reading ----


def test_what_is_read() -> None:
    genome = parse(written(document()))
    (contig,) = genome.contigs
    assert (contig.name, contig.length, contig.circular) == (MADE.contig, len(MADE.dna), True)
    assert contig.sequence == MADE.dna
    assert [(g.locus_tag, g.start, g.end, g.strand, g.protein) for g in contig.genes] == [
        (g.tag, g.start, g.end, g.strand, g.protein) for g in MADE.genes
    ]
    first, second, *_ = contig.genes
    assert (first.name, first.product, first.ec) == ("abcA", "hypothetical protein", ())
    assert (second.name, second.product, second.ec) == ("", "kinase", ("2.7.1.2", "2.7.1.1"))


def test_before_1_10_a_feature_names_its_contig() -> None:
    def old(content: dict[str, Any]) -> None:
        for feature in content["features"]:
            feature["contig"] = feature.pop("sequence")
        content["sequences"][0]["sequence"] = content["sequences"][0].pop("nt")

    genome, today = parse(changed(old)), parse(written(document()))
    assert genome.contigs == today.contigs


def test_small_orfs_are_cds_and_what_bakta_calls_pseudo_is_skipped() -> None:
    def change(content: dict[str, Any]) -> None:
        content["features"][1]["type"] = "sorf"
        content["features"][2]["truncated"] = "5-prime"
        content["features"][3]["pseudogene"] = {"paralog": False}

    skips = [gene.skip for gene in parse(changed(change)).genes]
    assert skips == [None, Skip.PSEUDOGENE, Skip.PSEUDOGENE, *[None] * 5]


def test_a_cds_over_the_origin_ends_past_the_length() -> None:
    """The genome is turned so that it begins in the middle of its first gene."""
    first, half = MADE.genes[0], 60
    shift = first.start - 1 + half

    def turn(content: dict[str, Any]) -> None:
        sequence = content["sequences"][0]
        size = sequence["length"]
        sequence["nt"] = MADE.dna[shift:] + MADE.dna[:shift]
        for feature in content["features"][1:]:
            for end in ("start", "stop"):
                feature[end] = (feature[end] - shift - 1) % size + 1
        content["features"][1]["edge"] = True
        del content["features"][1]["aa"]

    genome = parse(changed(turn))
    last = genome.contigs[0].genes[-1]
    assert (last.locus_tag, last.end) == (first.tag, len(MADE.dna) + first.end - shift)
    assert last.protein == first.protein


def test_the_genetic_code_of_the_file_is_used() -> None:
    def change(content: dict[str, Any]) -> None:
        content["genome"]["translation_table"] = 4
        del content["features"][1]["aa"]
        place = MADE.genes[0].start + 29  # the eleventh codon
        dna = MADE.dna[:place] + "TGA" + MADE.dna[place + 3 :]
        content["sequences"][0]["nt"] = dna

    protein = parse(changed(change)).contigs[0].genes[0].protein
    assert protein is not None
    assert protein[10] == "W"


def test_a_selenocysteine_is_no_stop() -> None:
    def change(content: dict[str, Any]) -> None:
        place = MADE.genes[0].start + 29
        content["sequences"][0]["nt"] = MADE.dna[:place] + "TGA" + MADE.dna[place + 3 :]
        content["features"][1]["exception"] = {"type": "selenocysteine", "aa": "Sec"}
        del content["features"][1]["aa"]

    protein = parse(changed(change)).contigs[0].genes[0].protein
    assert protein is not None
    assert protein[10] == "U"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["features"][1].update(start="1"),
            r"line 18: start '1' and stop \d+ of this CDS must be",
        ),
        (lambda c: c["sequences"][0].update(length=5), r"says 5 bp but has \d+ for contig_1"),
        (lambda c: c.update(features={}), "no list of features"),
        (lambda c: c.update(features=[]), "no CDS in this file"),
        (lambda c: c["genome"].update(translation_table=99), "99 is not an NCBI genetic code"),
        (lambda c: c["sequences"][0].pop("id"), "a sequence without an id"),
    ],
)
def test_faults_are_named(change: Change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(changed(change))


def test_a_cds_outside_its_contig_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    def change(content: dict[str, Any]) -> None:
        content["sequences"][0]["topology"] = "linear"
        content["features"][-1]["stop"] = len(MADE.dna) + 30

    assert [g.skip for g in parse(changed(change)).genes][-1] is Skip.OUTSIDE
    assert "reach past the end of their contig, skipped: 1" in caplog.text


@pytest.mark.parametrize(
    ("start", "skip", "message"),
    [
        (0, Skip.OUTSIDE, "begin before the first base of their contig, skipped: 1"),
        (-17, Skip.OUTSIDE, "begin before the first base of their contig, skipped: 1"),
        (None, Skip.MALFORMED, "CDS without a start or a stop, skipped: 1 (line 18)"),
    ],
)
def test_a_cds_that_begins_nowhere_is_skipped(
    start: int | None, skip: Skip, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    genome = parse(changed(lambda c: c["features"][1].update(start=start)))
    assert [gene.skip for gene in genome.genes] == [skip, *[None] * 7]
    assert message in caplog.text


@pytest.mark.parametrize("stop", [700, 2505, 3000, -2])
def test_a_file_cut_short_is_named_with_its_line(stop: int) -> None:
    text = written(document())[:stop]
    line = text.decode().count("\n") + 1
    with pytest.raises(InputError, match=rf"line {line}: this JSON is damaged \(it stops too early\)"):
        parse(text)


def test_other_json_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"genome": {}}')
    with pytest.raises(InputError, match="this looks like JSON"):
        annotation_io.read(path)


def test_sequences_beside_the_file() -> None:
    def bare(content: dict[str, Any]) -> None:
        del content["sequences"][0]["nt"]
        for feature in content["features"]:
            feature.pop("aa", None)

    with pytest.raises(InputError, match="no sequences in this file"):
        parse(changed(bare))
    genome = parse(changed(bare), Sequences({MADE.contig: MADE.dna}))
    assert [g.protein for g in genome.genes] == [g.protein for g in MADE.genes]
    chosen = Sequences(proteins={"ID_0": "M" * 30, MADE.genes[1].tag: "MA" * 20})
    assert [g.protein for g in parse(changed(bare), chosen).genes][:2] == ["M" * 30, "MA" * 20]
    with pytest.raises(InputError, match="no protein of the --faa file"):
        parse(written(document()), Sequences(proteins={"other": "MKLAAA"}))
    with pytest.raises(InputError, match="no sequence of the --fasta file"):
        parse(written(document()), Sequences({"other": "ACGT"}))


# ---- writing ----


def test_calls_stand_in_each_cds() -> None:
    text = written(document())
    genome = parse(text)
    predictions = fake_predictions(genome)
    result = json.loads(patch.render(genome, predictions))
    made = [feature for feature in result["features"] if feature["type"] == "cds"]
    for gene, feature in zip(genome.genes, made, strict=True):
        said, prediction = feature["glm_annot"], predictions.genes[gene.index]
        assert said.get("ec", []) == [call.number for call in prediction.ec]
        assert said.get("ec_confidence", []) == [round(call.confidence, 3) for call in prediction.ec]
        assert said["enzyme_confidence"] == pytest.approx(prediction.enzyme, abs=0.001)
        assert list(feature)[-1] == "glm_annot"
    assert "glm_annot" not in result["features"][0]
    assert predictions.operons
    about, operon = result["glm_annot"], predictions.operons[0]
    assert about["operons"][0]["id"] == operon.id
    assert about["operons"][0]["genes"] == [made[index]["locus"] for index in operon.genes]
    assert patch.provenance(patch.render(genome, predictions)) == qualifiers.provenance_comment(PROVENANCE)


def test_an_operon_over_the_origin_is_said_as_bakta_says_it() -> None:
    genome = parse(written(document()))
    predictions = fake_predictions(genome)
    assert predictions.operons
    size = len(MADE.dna)
    over = replace(predictions.operons[0], start=size - 9, end=size + 20)
    result = json.loads(patch.render(genome, replace(predictions, operons=(over,))))
    (operon,) = result["glm_annot"]["operons"]
    assert (operon["start"], operon["stop"], operon["edge"]) == (size - 9, 20, True)


def test_promoted_numbers_stand_among_the_references_but_not_of_hypothetical_proteins() -> None:
    genome = parse(written(document()))
    predictions = fake_predictions(genome)
    result = json.loads(patch.render(genome, predictions, 0.5))
    for gene, feature in zip(genome.genes, result["features"][1:], strict=True):
        expected = qualifiers.promoted_ec(gene, predictions.genes[gene.index], 0.5)
        if gene.product == "hypothetical protein":
            expected = ()
        added = feature["db_xrefs"] if gene.index != 1 else feature["db_xrefs"][3:]
        assert added == [f"EC:{number}" for number in expected]
        assert feature["glm_annot"].get("promoted", []) == list(expected)
    assert any(f["glm_annot"].get("promoted") for f in result["features"][1:])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    promote=st.sampled_from([None, 0.3, 0.9]),
    indent=st.sampled_from([None, 0, 2, 4]),
    crlf=st.booleans(),
    bom=st.booleans(),
    end=st.sampled_from([b"", b"\n", b"\n\n"]),
    nested=st.booleans(),
)
def test_writing_then_stripping_gives_back_the_bytes(
    seed: int, promote: float | None, indent: int | None, crlf: bool, bom: bool, end: bytes, nested: bool
) -> None:
    content = document()
    if nested:  # other people's names that look like ours, and other letters
        content["features"][2]["psc"] = {"glm_annot": 1, "product": 'Käse \\ "glm_annot": {}'}
        content["run"]["glm_annot"] = {}
    text = json.dumps(content, indent=indent, ensure_ascii=False).encode() + end
    text = text.replace(b"\n", b"\r\n") if crlf else text
    text = b"\xef\xbb\xbf" + text if bom else text
    assert patch.strip(text) == text
    genome = parse(text)
    predictions = fake_predictions(genome, seed)
    result = patch.render(genome, predictions, promote)
    assert result != text
    assert patch.strip(result) == text
    assert parse(patch.strip(result)) == genome


def test_a_file_written_anew_by_another_program_is_stripped_of_all_that_is_ours() -> None:
    genome = parse(written(document()))
    result = json.loads(patch.render(genome, fake_predictions(genome), 0.3))
    for feature in result["features"]:
        feature.get("db_xrefs", []).sort()
    original = document()
    for feature in original["features"]:
        feature.get("db_xrefs", []).sort()
    assert json.loads(patch.strip(written(result))) == original


def test_what_has_our_name_without_our_comment_stays_and_is_refused() -> None:
    def change(content: dict[str, Any]) -> None:
        content["features"][2]["glm_annot"] = {"promoted": ["2.7.1.2"]}

    text = changed(change)
    assert patch.strip(text) == text
    with pytest.raises(InputError, match="glm-annot writes, but the file has no comment"):
        parse(text)
    with pytest.raises(InputError, match="glm-annot writes, but the file has no comment"):
        parse(changed(lambda content: content.update(glm_annot={"provenance": "mine"})))


def test_a_name_that_stands_twice_in_a_feature_is_refused() -> None:
    text = written(document()).replace(b'"db_xrefs":', b'"db_xrefs": [], "db_xrefs":', 1)
    with pytest.raises(InputError, match="a name stands twice in one object"):
        parse(text)
    assert patch.strip(text) == text


def test_gzipped_files_and_sections(tmp_path: Path) -> None:
    path = tmp_path / "s.json.gz"
    path.write_bytes(gzip.compress(written(document())))
    sections = annotation_io.open_sections(path)
    assert sections.format == "bakta"
    (genome,) = sections
    result = annotation_io.render(genome, fake_predictions(genome))
    assert annotation_io.strip(result) == written(document())
    comment = qualifiers.provenance_comment(PROVENANCE)
    assert annotation_io.is_rendered(result, written(document()), comment)


@given(st.binary(max_size=200).map(lambda noise: b'{"features": [], "glm_annot": ' + noise))
def test_stripping_never_fails(text: bytes) -> None:
    patch.strip(text)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_of_any_kind_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    check_damaged(written(document()), data, parse=parse, strip=patch.strip)


# ---- Bakta itself ----


def test_bakta_says_the_same_in_json_and_gff3(shared_data: Path) -> None:
    folder = shared_data / "annotated" / "bakta" / "assembly"
    genome = annotation_io.read(folder / "assembly.json.gz")
    twin = annotation_io.read(folder / "assembly.gff3.gz")
    assert genome.contigs == twin.contigs
    assert len(list(genome.genes)) == 93
    result = annotation_io.render(genome, fake_predictions(genome), promote_ec=0.5)
    assert annotation_io.strip(result) == gzip.decompress((folder / "assembly.json.gz").read_bytes())


@pytest.mark.skipif(shutil.which("bakta_io") is None, reason="bakta is not installed")
def test_bakta_io_reads_the_result(shared_data: Path, tmp_path: Path) -> None:
    genome = annotation_io.read(shared_data / "annotated" / "bakta" / "assembly" / "assembly.json.gz")
    path = tmp_path / "in.json"
    path.write_bytes(annotation_io.render(genome, fake_predictions(genome), promote_ec=0.5))
    subprocess.run(["bakta_io", path, "--output", tmp_path / "out"], check=True, capture_output=True)
    again = annotation_io.read(tmp_path / "out" / "in.gff3")
    assert [gene.locus_tag for gene in again.genes] == [gene.locus_tag for gene in genome.genes]
    assert any(gene.ec for gene in again.genes)
