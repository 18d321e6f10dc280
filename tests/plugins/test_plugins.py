"""One contract for every plugin: a folder of its tool is known by it alone, and the right files are read."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from glm_annot.cli.batch import result_names
from glm_annot.cli.tasks import Files
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.io import open_sections, tool_folders
from glm_annot.plugins import bakta, fixed_names, pgap, prokka

# Files each tool writes for the prefix `s`, and what is to be read of them.
FOLDERS = {
    "bakta": (["s.gff3", "s.gbff", "s.json", "s.faa", "s.fna", "s.tsv"], "s.gff3", "s.fna", "s.faa"),
    "baktfold": (
        ["s.gff3", "s.gbff", "s.embl", "s.json", "s.faa", "s.fna", "s.tsv", "s.summary.txt", "s_3di.fasta"],
        "s.gff3",
        "s.fna",
        "s.faa",
    ),
    "ncbi_datasets": (
        ["genomic.gff", "GCF_1.2_ASM1_genomic.fna", "cds_from_genomic.fna", "genomic.gbff", "protein.faa"],
        "genomic.gff",
        "GCF_1.2_ASM1_genomic.fna",
        "protein.faa",
    ),
    "pgap": (
        [
            "annot.gff",
            "annot_with_genomic_fasta.gff",
            "annot.gbk",
            "annot.sqn",
            "annot.fna",
            "annot.faa",
            "annot_cds_from_genomic.fna",
            "annot_translated_cds.faa",
        ],
        "annot.gff",
        "annot.fna",
        "annot.faa",
    ),
    "dfast": (
        [
            "genome.gff",
            "genome.gbk",
            "genome.embl",
            "genome.fna",
            "cds.fna",
            "rna.fna",
            "protein.faa",
            "statistics.txt",
            "pseudogene_summary.tsv",
        ],
        "genome.gff",
        "genome.fna",
        "protein.faa",
    ),
    "prokka": (["s.gff", "s.gbk", "s.tbl", "s.faa", "s.ffn", "s.fna"], "s.gff", None, "s.faa"),
}


SHIPPED = {
    tool.name: tool
    for tool in (
        bakta.plugin,
        bakta.baktfold,
        prokka.plugin,
        fixed_names.ncbi_datasets,
        pgap.plugin,
        fixed_names.dfast,
    )
}
NAMED_AFTER_FOLDER = ("ncbi_datasets", "pgap", "dfast")


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped plugins, whether or not the package is installed."""
    monkeypatch.setattr(tool_folders, "plugins", lambda: SHIPPED)


def make(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("tool", FOLDERS)
@pytest.mark.parametrize("gzipped", [False, True])
def test_a_tools_folder_is_known(tool: str, gzipped: bool, tmp_path: Path) -> None:
    names, *wanted = FOLDERS[tool]
    end = ".gz" if gzipped else ""
    make(tmp_path, [name + end for name in names])
    annotation, fasta, faa = (tmp_path / (name + end) if name else None for name in wanted)
    assert annotation is not None
    genome = tmp_path.name if tool in NAMED_AFTER_FOLDER else ""
    expected = tool_folders.ToolOutput(tool, annotation, fasta, faa, genome=genome)
    assert tool_folders.find_output(tmp_path) == expected


@pytest.mark.parametrize("tool", FOLDERS)
def test_our_own_results_are_no_second_annotation(tool: str, tmp_path: Path) -> None:
    names, annotation, *_ = FOLDERS[tool]
    stem, suffix = annotation.split(".")
    make(tmp_path, [*names, f"{stem}.glm.{suffix}", f"{stem}.glm.tsv"])
    assert tool_folders.find_output(tmp_path).annotation.name == annotation


@pytest.mark.parametrize("name", ["genome", "genome.gz"])
def test_a_file_without_a_suffix_has_its_name_for_a_stem(name: str, tmp_path: Path) -> None:
    assert tool_folders.beside(tmp_path / name, [".faa"]) is None
    (tmp_path / "genome.faa").touch()
    assert tool_folders.beside(tmp_path / name, [".faa"]) == tmp_path / "genome.faa"


def test_several_annotations_are_not_guessed_between(tmp_path: Path) -> None:
    make(tmp_path, ["a.gff3", "a.json", "b.gff3", "b.json"])
    with pytest.raises(InputError, match=r"2 annotations \(a.gff3, b.gff3\)"):
        tool_folders.find_output(tmp_path)


def test_an_unknown_folder_says_which_plugins_there_are(tmp_path: Path) -> None:
    make(tmp_path, ["genome.gff3"])
    with pytest.raises(InputError, match=r"known tool \(bakta, baktfold, prokka"):
        tool_folders.find_output(tmp_path)


def test_a_plugin_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    broken = EntryPoint("broken", "no_such_module_anywhere:plugin", tool_folders.GROUP)
    monkeypatch.setattr(tool_folders, "entry_points", lambda group: [broken])
    with pytest.raises(GlmAnnotError, match="'broken'"):
        tool_folders.plugins()


COMPLIANT = """##gff-version 3
##sequence-region c 1 96
c\tPyrodigal\tgene\t1\t96\t.\t+\t.\tID=T_1_gene;locus_tag=T_1
c\tPyrodigal\tCDS\t1\t96\t.\t+\t0\tID=T_1;locus_tag=T_1;product=kinase;Parent=T_1_gene;ec_number=2.7.1.2
"""
JSON = {
    "genome": {"translation_table": 4},
    "features": [
        {
            "type": "cds",
            "sequence": "c",
            "start": 1,
            "stop": 96,
            "strand": "+",
            "db_xrefs": ["EC:2.7.1.1", "EC:2.7.1.2", "SO:0001217"],
            "locus": "T_1",
        }
    ],
    "sequences": [{"id": "c", "length": 96}],
}


def test_what_a_compliant_gff3_of_bakta_leaves_out_is_taken_from_its_json(tmp_path: Path) -> None:
    (tmp_path / "s.gff3").write_text(COMPLIANT)
    (tmp_path / "s.fna").write_text(f">c\n{'ATGTGA' + 'GCT' * 29 + 'TAA'}\n")
    (tmp_path / "s.json").write_text(json.dumps(JSON))
    found = tool_folders.find_output(tmp_path)
    (alone,) = open_sections(found.annotation, fasta=found.fasta)
    (genome,) = open_sections(found.annotation, fasta=found.fasta, details=found.details)
    (before,), (after,) = alone.genes, genome.genes
    assert (before.ec, after.ec) == (("2.7.1.2",), ("2.7.1.2", "2.7.1.1"))
    assert (before.protein, after.protein) == ("MX" + "A" * 29, "MW" + "A" * 29)


def test_the_json_of_another_program_is_no_part_of_baktas_folder(tmp_path: Path) -> None:
    make(tmp_path, ["s.gff3", "s.gbff"])
    (tmp_path / "s.json").write_text('{"contigs": 3}')
    assert tool_folders.find_output(tmp_path).details is None


def test_a_damaged_json_of_bakta_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(JSON)[:-30])
    (tmp_path / "s.gff3").write_text(COMPLIANT)
    found = tool_folders.find_output(tmp_path)
    with pytest.raises(InputError, match=r"s\.json, line 1: this JSON is damaged"):
        open_sections(found.annotation, details=found.details)


def test_files_of_pgap_may_have_another_prefix_or_be_of_an_older_version(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
    make(new, ["s.gff", "s_with_genomic_fasta.gff", "s.fna", "s.faa", "s.sqn"])
    make(old, ["annot.gff", "annot.fna", "annot.faa", "annot.sqn"])
    expected = tool_folders.ToolOutput("pgap", new / "s.gff", new / "s.fna", new / "s.faa")
    assert tool_folders.find_output(new) == expected
    assert tool_folders.find_output(old).genome == "old"


@pytest.mark.parametrize(
    ("names", "gene", "attributes"),
    [
        ("annot.gff annot.fna annot.faa annot.sqn", "gnl|extdb|T_1",
         "ID=cds-T_1;Parent=gene-T_1;Name=extdb:T_1;locus_tag=T_1;protein_id=extdb:T_1;transl_table=11"),
        ("genome.gff genome.fna protein.faa cds.fna", "MGA_1|T_1", "ID=MGA_1;locus_tag=T_1"),
    ],
    ids=["pgap", "dfast"],
)  # fmt: skip
def test_proteins_are_found_by_the_names_that_the_tool_gives_them(
    names: str, gene: str, attributes: str, tmp_path: Path
) -> None:
    annotation, contigs, proteins, mark = (tmp_path / name for name in names.split())
    annotation.write_text(f"##gff-version 3\nc\tx\tCDS\t1\t96\t.\t+\t0\t{attributes}\n")
    contigs.write_text(f">c\n{'ATGTGG' + 'GCT' * 29 + 'TAA'}\n")
    proteins.write_text(f">{gene} a protein\nMWAAAA{'S' * 2}{'A' * 23}\n")
    mark.touch()
    found = tool_folders.find_output(tmp_path)
    (genome,) = open_sections(found.annotation, fasta=found.fasta, faa=found.faa)
    assert [gene.protein for gene in genome.genes] == ["MWAAAA" + "S" * 2 + "A" * 23]


def test_results_are_named_after_the_folder_where_files_share_a_name() -> None:
    files = [
        Files("a/genomic.gff", None, None, folder="a", genome="a"),
        Files("b/bakta.gff3", None, None, folder="b"),
        Files("c/bakta.gff3", None, None, folder="c"),
        Files("d/s.gff3", None, None, folder="d"),
        Files("strain.v2.gff3", None, None),
    ]
    assert result_names(files) == ["a", "b", "c", "s", "strain.v2"]
