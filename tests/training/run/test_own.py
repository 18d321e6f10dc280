"""The recipe `own` on a few made genomes: memory, names of the annotation, and too little of either."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from glm_annot import annotate
from glm_annot.bundle import load, read_texts
from glm_annot.errors import InputError, UsageError
from glm_annot.training import recipe as recipes
from glm_annot.training.cli import cli
from glm_annot.training.run.neighbours import judging_genomes, names_files
from tests.support.made_genomes import MadeGenome, ancestors, gff3, make_genome, write_clusters

FAMILIES = 45  # genes of each genome
LENGTH, MUTATED = 80, 0.05  # residues of a protein, and the share of them that differ
UNNAMED = 5  # the first families, whose products are hypothetical


def product(family: int) -> str:
    return f"made{chr(97 + family // 10)}{chr(97 + family % 10)} synthase"


def annotation(genome: MadeGenome, *, named: bool = True) -> str:
    """A GFF3 whose genes have products."""

    def said(found: re.Match[str]) -> str:
        family = int(found[1].rpartition("_")[2])
        known = named and family >= UNNAMED
        return f"locus_tag={found[1]};product={product(family) if known else 'hypothetical protein'}"

    return re.sub(r"locus_tag=(\S+)", said, gff3(genome))


def write_genomes(folder: Path, count: int, *, named: bool = True) -> list[MadeGenome]:
    """Genomes of one order, each of another genus, and the families as a clustering of their proteins."""
    folder.mkdir(parents=True)
    proteins = ancestors(FAMILIES, 0, LENGTH)
    genomes = [make_genome(f"Made{chr(97 + n)} one", proteins, 100 + n, MUTATED) for n in range(count)]
    for n, genome in enumerate(genomes):
        (folder / f"g{n}.gff3").write_text(annotation(genome, named=named))
    write_clusters(folder / "clusters.tsv", genomes)
    return genomes


def write_recipe(path: Path) -> Path:
    """The recipe `own` with a gLM that is trained in seconds."""
    content: dict[str, Any] = json.loads(recipes.known()["own"].read_text())
    content["corpus"]["clusters"] = "clusters.tsv"
    content["heads"] = {"ec": "none"}
    content["shares"] = {}
    small = {"dim": 32, "layers": 1, "heads": 2, "ffn": 64, "components": 16}
    content["glm"]["network"] |= small
    content["glm"]["engine"] |= {"steps": 30, "micro_batch": 8, "warmup_steps": 2}
    path.write_text(json.dumps(content))
    return path


def train(folder: Path, *options: str) -> Result:
    recipe = str(write_recipe(folder / "recipe.json"))
    paths = ["--data", str(folder / "data"), "--work", str(folder / "work")]
    return CliRunner().invoke(cli, ["run", recipe, *paths, *options], catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the recipe ran on five genomes: data/, work/ and what it said as output.txt."""
    folder = tmp_path_factory.mktemp("own")
    write_genomes(folder / "data", 5)
    result = train(folder)
    assert result.exit_code == 0, result.output
    (folder / "output.txt").write_text(result.output)
    return folder


def test_the_model_has_a_memory_of_the_folder_s_genomes(made: Path) -> None:
    neighbours = load(made / "work" / "bundle").neighbours
    assert neighbours is not None and neighbours.head is not None
    assert (neighbours.config.genomes, neighbours.config.families) == (5, FAMILIES)
    assert {fact.source for fact in neighbours.facts} == {f"g{n}.gff3" for n in range(5)}
    assert {name.product for name in neighbours.names.values()} == {
        product(family) for family in range(UNNAMED, FAMILIES)
    }


def test_genes_without_a_name_get_that_of_the_user_s_annotation(made: Path, tmp_path: Path) -> None:
    strange = make_genome("Strange one", ancestors(FAMILIES, 0, LENGTH), 200, MUTATED)
    path = tmp_path / "strange.gff3"
    path.write_text(annotation(strange, named=False))
    annotate(path, model=load(made / "work" / "bundle")).write(tmp_path / "out")
    (table,) = (tmp_path / "out").glob("*.tsv")
    with table.open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    named = [(n, row["context_name"]) for n, row in enumerate(rows) if n >= UNNAMED and row["context_name"]]
    assert len(named) > FAMILIES // 2
    assert [text for _, text in named] == [product(family) for family, _ in named]


def test_names_are_judged_by_the_genome_that_calibrates(made: Path) -> None:
    assert re.search(r"names: \d+ of 40 at 0\.\d\d and above; ", (made / "output.txt").read_text())
    recipe, data, corpus = recipes.read(made / "recipe.json"), made / "data", made / "work" / "corpus"
    rows = json.loads((corpus / "corpus.json").read_text())["genomes"]
    (calibrates,) = (data / row["source"] for row in rows if row["split"] == "valid")
    assert judging_genomes(recipe, data, corpus) == [calibrates]


def test_the_suite_measures_memory_and_names_on_the_test_genome(made: Path) -> None:
    metrics, card = read_texts(made / "work" / "bundle")
    assert metrics["rings"]["near"]["mixture"]["genes"] > 0
    rows = json.loads((made / "work" / "corpus" / "corpus.json").read_text())["genomes"]
    (tested,) = (row["source"] for row in rows if row["split"] == "test")
    assert metrics["names"]["of"] == tested and metrics["names"]["names"]["right"] == 1.0
    assert f"- names from context: {tested}" in card


def test_a_second_run_leaves_out_what_is_done(made: Path) -> None:
    assert train(made).output.count("already done") == 10


def test_files_that_name_are_read_with_their_sequences(tmp_path: Path) -> None:
    write_genomes(tmp_path / "data", 2)
    (tmp_path / "data" / "g1.faa").write_text(">a\nM\n")
    recipe = recipes.read(write_recipe(tmp_path / "recipe.json"))
    assert [path.name for path in names_files(recipe, tmp_path / "data")] == ["g0.gff3", "g1.gff3", "g1.faa"]


def test_two_genomes_without_names_make_a_model(tmp_path: Path) -> None:
    write_genomes(tmp_path / "data", 2, named=False)
    result = train(tmp_path)
    assert result.exit_code == 0, result.output
    assert "split: 1 train, 1 valid, 0 test; none tests, because there are only two genomes" in result.output
    assert "the annotated genomes name no family, so the model will give no names" in result.output
    neighbours = load(tmp_path / "work" / "bundle").neighbours
    assert neighbours is not None and neighbours.hints is None


def test_one_genome_is_said_to_be_too_few(tmp_path: Path) -> None:
    write_genomes(tmp_path / "data", 1)
    with pytest.raises(UsageError, match=r"too few genomes \(1\) .* `glm-train memory` adds even one"):
        train(tmp_path)


def test_without_a_gene_of_a_family_to_calibrate_with_there_is_no_memory(tmp_path: Path) -> None:
    """The genome that calibrates shares nothing with those that train."""
    genomes = write_genomes(tmp_path / "data", 4)
    recipe = write_recipe(tmp_path / "recipe.json")
    corpus = ["corpus", str(recipe), "--data", str(tmp_path / "data"), "-o", str(tmp_path / "corpus")]
    assert CliRunner().invoke(cli, corpus, catch_exceptions=False).exit_code == 0
    drawn = json.loads((tmp_path / "corpus" / "corpus.json").read_text())["genomes"]
    (source,) = (row["source"] for row in drawn if row["split"] == "valid")
    n = int(source[1])
    other = make_genome(genomes[n].organism, ancestors(FAMILIES, 1, LENGTH), 100 + n)
    (tmp_path / "data" / source).write_text(annotation(other))
    lines = []
    for number in range(4 * FAMILIES):
        genome, family = divmod(number, FAMILIES)
        first = n * FAMILIES if genome == n else FAMILIES * (n == 0)
        lines.append(f"{first + family}\t{number}\n")
    (tmp_path / "data" / "clusters.tsv").write_text("".join(lines))
    result = train(tmp_path)
    assert result.exit_code == 0, result.output
    assert "so the model gets no memory" in result.output
    assert load(tmp_path / "work" / "bundle").neighbours is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": "mine"}, "names: should be 'corpus' or a list of files, not 'mine'"),
        ({"names_judged_by": [3]}, "names_judged_by: should be 'corpus' or a list of files, not [3]"),
        ({"names": []}, "names and names_judged_by: give both or none"),
        (
            {"corpus": {"tables": "corpus"}},
            "names: those of the corpus are read from corpus.folder; give that, or a list",
        ),
    ],
)
def test_what_names_families_is_checked(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    content = json.loads(recipes.known()["own"].read_text())
    (tmp_path / "r.json").write_text(json.dumps(content | changes))
    with pytest.raises(InputError) as caught:
        recipes.read(tmp_path / "r.json")
    assert message in str(caught.value)
