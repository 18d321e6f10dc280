"""Opening inputs and telling their format."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glm_annot.io as annotation_io
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.io import source
from glm_annot.records import Genome
from tests.support.fakes import fake_predictions

BAKTA = Path(__file__).parent / "data" / "gff3" / "bakta.gff3"
TEXT = BAKTA.read_bytes()
PACKED = gzip.compress(TEXT)


def test_gzip_is_told_by_its_content_not_its_name(tmp_path: Path) -> None:
    for name, content in (
        ("packed.txt", PACKED),
        ("two_members.gff3", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("not_packed.gz", TEXT),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert source.read_bytes(path) == TEXT, name


def test_what_is_packed_too_well_is_not_unpacked_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(TEXT + b"\n" * 10**7))
    monkeypatch.setattr(source, "_most_unpacked", 10**6)
    with pytest.raises(InputError, match=r"more than 0\.001 GB unpacked, over 100 times .* --max-unpacked"):
        source.read_bytes(tmp_path / "x.gz")
    source.allow_unpacked(0.1)
    assert len(source.read_bytes(tmp_path / "x.gz")) == len(TEXT) + 10**7


@given(st.lists(st.sampled_from([b"a", b"bcdefghijk", b"\r\n", b"\n", b"\r", b""])), st.integers(1, 9))
def test_lines_of_long_texts_are_those_of_short_ones(pieces: list[bytes], block: int) -> None:
    text = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_LINES_BLOCK", block)
        assert source.split_lines(text) == text.splitlines(keepends=True)


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(PACKED,))
    writer.start()
    assert annotation_io.read(pipe).contigs == annotation_io.read(BAKTA).contigs
    writer.join()


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input: there is none"):
        annotation_io.read("-")


def test_standard_input_may_be_gzipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(PACKED)))
    genome = annotation_io.read("-")
    assert genome.source is not None
    assert genome.source.path == "-"
    assert genome.contigs == annotation_io.read(BAKTA).contigs


def test_the_command_that_converts_fits_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my file.gff3.gz"
    path.write_bytes(gzip.compress(TEXT.replace(b"\n", b"\r")))
    command = r"gzip -dc 'my file.gff3.gz' | tr '\r' '\n' > 'converted_my file.gff3'"
    with pytest.raises(InputError) as caught:
        annotation_io.read(path)
    assert caught.value.message.endswith(command)
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "converted_my file.gff3").read_bytes() == TEXT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b" \n\r\n", "empty", id="blank"),
        pytest.param(gzip.compress(b""), "empty", id="empty gzip"),
        pytest.param(b"\x7fELF\x02\0\0\0", "binary", id="binary"),
        pytest.param(TEXT.decode().encode("utf-16"), "iconv -f UTF-16 -t UTF-8", id="UTF-16"),
        pytest.param(TEXT.decode().encode("utf-16-le"), "-f UTF-16LE -t UTF-8 < ", id="UTF-16, no mark"),
        pytest.param(TEXT.decode().encode("utf-16-be"), "-f UTF-16BE -t UTF-8 < ", id="big-endian"),
        pytest.param(TEXT.replace(b"\n", b"\r"), r"old Mac line ends \(CR\); convert them: tr", id="old Mac"),
        pytest.param(
            b"DEFINITION  seqnum=1;seqlen=9;x\n", "Prodigal's default .* -f gff", id="Prodigal, gbk"
        ),
        pytest.param(b"# Sequence Data: seqnum=1;seqlen=9\n>1_1_9_+\n", "sco .* -f gff", id="Prodigal, sco"),
        pytest.param(PACKED[:-20], "cut short", id="gzip cut short"),
        pytest.param(PACKED[:60] + b"\xff" * 9 + PACKED[69:], "damaged", id="damaged gzip"),
        pytest.param(b">a\nACGT\n", "contigs without genes .*--call-genes calls them", id="contigs"),
        pytest.param(b">Feature c1\n1\t9\tgene\n", r"a feature table \(.tbl\)", id="tbl"),
        pytest.param(
            b"#Sequence Id\tType\tStart\tStop\tStrand\tLocus Tag\tGene\tProduct\tDbXrefs\n"
            b"c\tcds\t1\t9\t+\tL\t\tkinase\tEC:1.1.1.1\n",
            r"Bakta's table \(.tsv\); give its .gff3",
            id="Bakta's tsv",
        ),
        pytest.param(b">a\nMKLVDE\n", "these are proteins .*: give --faa with the GFF3", id="proteins"),
        pytest.param(b'{"genome": {}}', "JSON", id="JSON"),
        pytest.param(b">contig_1\norf00002  199989  1176  +1  6.77\n", "neither GFF3", id="Glimmer"),
        pytest.param(b"Dear all,\nplease find\n", "neither GFF3", id="prose"),
        pytest.param(TEXT.replace(b"\t", b" ").partition(b"\n")[2], "neither GFF3", id="blanks for tabs"),
    ],
)
def test_unusable_inputs_say_what_they_are(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        annotation_io.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        annotation_io.read(tmp_path / "absent.gff3")
    with pytest.raises(InputError, match="this folder is not the output of a known tool"):
        annotation_io.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"##gff-version 3\n", "gff3"),
        (b"\xef\xbb\xbf##gff-version 3\r\n", "gff3"),
        (b"# no directive\nc\tt\tCDS\t1\t9\t.\t+\t0\tID=a\n", "gff3"),
        (b"##gff-version 3\nLOCUS\tt\tCDS\t1\t9\t.\t+\t0\tID=a\n", "gff3"),
        (b"LOCUS       X   9 bp    DNA\n", "genbank"),
        (b"GBBCT1.SEQ   Genetic Sequence Data Bank\n\nLOCUS       X   9 bp    DNA\n", "genbank"),
        (b">c\tt\tCDS\t1\t9\t.\t+\t0\tID=a\nACGT\n", None),
        (b"contig\tstart\tend\n", None),
    ],
)
def test_format_is_told_from_the_content(text: bytes, expected: str | None) -> None:
    assert source.recognise(text) == expected


@given(st.binary())
def test_lines_keep_their_ends(text: bytes) -> None:
    lines = source.split_lines(text)
    assert b"".join(lines) == text
    assert all(source.line_end(line) in (b"\n", b"\r\n", b"\r") for line in lines[:-1])


def test_decoding_falls_back_to_latin_1() -> None:
    assert source.decode("Müller".encode()) == source.decode("Müller".encode("latin-1")) == "Müller"


def test_a_genome_without_a_file_cannot_be_rendered() -> None:
    genome = Genome(())
    with pytest.raises(GlmAnnotError, match="not read from a file"):
        annotation_io.render(genome, fake_predictions(genome))
