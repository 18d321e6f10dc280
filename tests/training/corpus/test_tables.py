"""The training corpus: sampling, splits, exclusion by sequence, and a user's own folder of genomes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from glm_annot import bundle
from glm_annot.errors import GlmAnnotError, InputError, UsageError
from glm_annot.training import recipe as recipes
from glm_annot.training.cli import cli
from glm_annot.training.corpus import genome_folder, heldout, sets
from glm_annot.training.corpus import tables as corpus
from glm_annot.training.corpus.sample import (
    Candidate,
    choose,
    draw_order,
    most_valid,
    related_groups,
    split_by,
)
from glm_annot.training.run import stages
from tests.support.made_genomes import ancestors, gff3, make_genome, number_of, write_clusters, write_folder

needs_mmseqs = pytest.mark.skipif(shutil.which("mmseqs") is None, reason="MMseqs2 is not installed")
ORGANISMS = ["Aaa one", "Aaa two", "Bbb one", "Ccc one", "Candidatus Ddd one"]
NOTHING = heldout.HeldOut()


def candidate(genome: int, genus: str = "?", genes: int = 1000, labelled: int = 0) -> Candidate:
    return Candidate(genome, genus, genes, 300 * genes, 1.0, labelled)


def build(folder: Path, out: Path, held_out: heldout.HeldOut = NOTHING, **options: int) -> dict:
    tables = genome_folder.read_tables(folder)
    clusters = np.arange(tables.proteins.num_rows)
    choice = corpus.CorpusOptions(**{"valid": 1, **options})
    return corpus.build(tables, out, options=choice, origin="made", held_out=held_out, clusters=clusters)


def test_genomes_that_share_proteins_or_a_genus_are_one_group() -> None:
    genome = np.repeat([0, 1, 2, 3], 20)
    protein = np.concatenate([np.arange(20), np.arange(19, 39), np.arange(100, 120), np.arange(200, 220)])
    groups = related_groups(["?", "?", "Aaa", "Aaa"], genome, protein)
    assert groups[0] == groups[1]  # one of twenty proteins is identical: exactly the threshold
    assert groups[2] == groups[3]  # one genus
    assert groups[0] != groups[2]


def test_unrelated_unknown_genomes_stay_apart() -> None:
    groups = related_groups(["?", "?"], np.repeat([0, 1], 30), np.arange(60))
    assert groups[0] != groups[1]


def test_each_group_gives_one_genome_before_any_gives_two() -> None:
    candidates = [candidate(n, genus) for n, genus in enumerate("AAAABC")]
    order = draw_order(candidates, np.array([0, 0, 0, 0, 1, 2]), seed=3)
    assert {candidates[n].genus for n in order[:3]} == {"A", "B", "C"}


def test_within_a_group_labelled_genomes_come_first_and_fragments_wait() -> None:
    candidates = [candidate(0, "A"), candidate(1, "A", labelled=5), candidate(2, "B", genes=20)]
    order = draw_order(candidates, np.array([0, 0, 1]), seed=0)
    assert order == [1, 0, 2]


def test_no_group_stands_on_two_sides() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2, 3])
    chosen = choose([candidate(n) for n in range(7)], groups, valid=2, test=1, seed=1)
    sides = {group: {c.split for c in chosen if c.group == group} for group in {c.group for c in chosen}}
    assert all(len(side) == 1 for side in sides.values())
    assert {c.split for c in chosen} == {"train", "valid", "test"}


def test_a_budget_of_residues_is_kept_and_the_draw_is_repeatable() -> None:
    candidates = [candidate(n, f"G{n}") for n in range(20)]
    draws = [choose(candidates, np.arange(20), residues=1_500_000, seed=5) for _ in range(2)]
    assert draws[0] == draws[1]
    assert sum(c.candidate.residues for c in draws[0]) == 1_500_000
    other = choose(candidates, np.arange(20), residues=1_500_000, seed=6)
    assert {c.candidate.genome for c in other} != {c.candidate.genome for c in draws[0]}


def test_unknown_genera_are_capped_in_a_limited_sample() -> None:
    candidates = [candidate(n, "?" if n < 30 else f"G{n}") for n in range(45)]
    chosen = choose(candidates, np.arange(45), genomes=16, seed=0)
    assert sum(c.candidate.genus == "?" for c in chosen) <= 4
    assert len(chosen) == 16


@pytest.mark.parametrize("named", [0, 3, 15])
def test_unknown_genera_fill_a_sample_that_named_ones_do_not(named: int) -> None:
    candidates = [candidate(n, f"G{n}" if n < named else "?") for n in range(50)]
    for seed in range(10):
        chosen = choose(candidates, np.arange(50), genomes=20, valid=1, test=1, seed=seed)
        assert len(chosen) == 20
        assert sum(c.candidate.genus != "?" for c in chosen) == named
    budget = choose(candidates, np.arange(50), residues=20 * 300_000)
    assert {c.candidate.genome for c in budget} >= set(range(named)) and len(budget) == 20


def test_unknown_genera_that_had_to_wait_are_not_first_to_be_set_aside() -> None:
    candidates = [candidate(n, f"G{n}" if n < 10 else "?") for n in range(50)]
    aside = {
        c.candidate.genus
        for seed in range(20)
        for c in choose(candidates, np.arange(50), genomes=20, seed=seed)
        if c.split == "valid"
    }
    assert "?" in aside and len(aside) > 1


def splits_of(sizes: list[int], seed: int, valid: int, test: int) -> dict[str, list[int]]:
    """Sizes of the groups on each side, when genomes of genera of these sizes are split."""
    genus = [f"G{number}" for number, size in enumerate(sizes) for _ in range(size)]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    candidates = [candidate(n, name) for n, name in enumerate(genus)]
    chosen = choose(candidates, groups, valid=valid, test=test, seed=seed)
    assert sorted(c.candidate.genome for c in chosen) == list(range(len(genus)))
    sides: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
    for group, split in {(c.group, c.split) for c in chosen}:
        sides[split].append(sizes[group])
    return sides


@pytest.mark.parametrize(
    ("sizes", "wanted", "aside"),
    [
        ([50, 1, 1], (1, 1), ([1], [1])),
        ([1, 50, 2], (1, 0), ([1], [])),
        ([9, 3, 30], (1, 1), ([3], [9])),  # none is small enough: the smallest
        ([30, 20, 1, 1], (2, 1), ([1], [1])),  # one split does not take all small groups
        ([30, 20, 2, 2], (3, 0), ([2], [])),  # two instead of three, not four
    ],
)
def test_small_groups_are_set_aside_and_the_largest_trains(
    sizes: list[int], wanted: tuple[int, int], aside: tuple[list[int], list[int]]
) -> None:
    for seed in range(20):
        sides = splits_of(sizes, seed, *wanted)
        assert (sides["valid"], sides["test"]) == aside


def test_what_is_set_aside_is_no_more_than_wanted_but_for_one_group() -> None:
    rng = np.random.default_rng(7)
    for seed in range(200):
        sizes = rng.integers(1, 9, size=rng.integers(3, 9)).tolist()
        valid, test = (int(number) for number in rng.integers(1, 5, size=2))
        sides = splits_of(sizes, seed, valid, test)
        assert max(sizes) in sides["train"]
        for split, number in (("valid", valid), ("test", test)):
            assert sides[split]
            assert sum(sides[split]) <= number or len(sides[split]) == 1
            if sum(sides[split]) > number:
                assert min(sides["train"]) >= sides[split][0]


def test_any_of_the_small_groups_may_be_set_aside() -> None:
    genus = ["A"] * 10 + list("BCDE")
    groups = np.array([0] * 10 + [1, 2, 3, 4])
    candidates = [candidate(n, name) for n, name in enumerate(genus)]
    draws = [choose(candidates, groups, seed=seed) for seed in range(60)]
    assert {c.candidate.genus for draw in draws for c in draw if c.split == "valid"} == set("BCDE")


def test_of_equal_groups_the_last_drawn_are_set_aside() -> None:
    """A sample of one genome a genus, such as mini's, stays split as it was when groups had no size."""
    candidates = [candidate(n, f"G{n}") for n in range(70)]
    chosen = choose(candidates, np.arange(70), genomes=64, valid=4, seed=0)
    drawn = [candidates[n].genome for n in draw_order(candidates, np.arange(70), seed=0)[:64]]
    assert [c.candidate.genome for c in chosen] == drawn
    assert [c.split for c in chosen] == ["train"] * 60 + ["valid"] * 4


@pytest.mark.skipif("mini" not in bundle.known(), reason="this checkout ships no model")
def test_the_recipe_of_the_shipped_model_draws_the_genomes_on_its_card(shared_data: Path) -> None:
    recipe = recipes.read("mini")
    section, source = recipe.corpus, corpus.read_tables(shared_data / "corpus")
    listed = sets.read(stages.sets_file(section, shared_data))
    exclude = {int(genome): reason for genome, reason in section.exclude.items()}
    options = corpus.CorpusOptions(
        genomes=section.genomes,
        residues=recipe.residues(recipes.parse_budget(recipe.budget)),
        valid=section.valid,
        test=section.test,
        seed=section.seed,
        splits=listed.splits,
    )
    chosen, _ = corpus.draw(source, options, {**listed.left_out, **exclude})
    organism = dict(zip(*(source.genomes[name].to_pylist() for name in ("genome", "organism")), strict=True))
    drawn = [(organism[item.candidate.genome], item.split, item.candidate.genes) for item in chosen]
    _, card = bundle.read_texts("mini")
    rows = [
        line.strip("| ").split(" | ")
        for line in card.partition("## Genomes")[2].partition("\n\n## ")[0].splitlines()[4:]
    ]
    assert drawn == [(name, split, int(genes)) for name, split, genes, _ in rows]
    assert len(drawn) == 467


@pytest.mark.parametrize(
    ("wanted", "drawn", "found"), [(3, 2, 1), (3, 9, 1), (3, 12, 2), (3, 40, 3), (1, 40, 1)]
)
def test_a_fifth_validates_at_most_and_one_always(wanted: int, drawn: int, found: int) -> None:
    assert most_valid(wanted, drawn) == found


def test_of_two_genomes_none_tests() -> None:
    chosen = choose([candidate(n) for n in range(2)], np.arange(2), valid=3, test=1)
    assert sorted(c.split for c in chosen) == ["train", "valid"]


def test_one_genome_cannot_be_split() -> None:
    with pytest.raises(UsageError, match=r"too few genomes \(1\) for a split into train, valid;"):
        choose([candidate(0)], np.array([0]), valid=1)


def test_strains_of_one_genus_are_split_by_genome() -> None:
    chosen = choose([candidate(n, "A") for n in range(3)], np.zeros(3, dtype=int), valid=1)
    assert sorted(c.split for c in chosen) == ["train", "train", "valid"]
    assert split_by(chosen) == "genome"
    assert split_by(choose([candidate(n) for n in range(3)], np.arange(3), valid=1)) == "genus"


@pytest.mark.parametrize(
    ("organisms", "options", "by", "line"),
    [
        (ORGANISMS, {"test": 1}, "genus", "split: 3 train, 1 valid, 1 test"),
        (
            ["Aaa one", "Aaa two", "Aaa three"],
            {"test": 1},
            "genome",
            "split: 1 train, 1 valid, 1 test; by genome, because there are too few genera: relatives of what "
            "trains are set aside",
        ),
        (
            ["Aaa one", "Aaa two", "Aaa three", "Bbb one", "Bbb two"],
            {},
            "genus",
            "split: 3 train, 2 valid, 0 test; 1 valid, 0 test were wanted, but genera are set aside whole",
        ),
    ],
)
def test_a_corpus_says_how_it_is_split(
    tmp_path: Path, organisms: list[str], options: dict[str, int], by: str, line: str
) -> None:
    write_folder(tmp_path / "in", organisms)
    record = build(tmp_path / "in", tmp_path / "out", **options)
    assert record["split_by"] == by
    assert corpus.split_line(record) == line


def test_folder_becomes_tables_with_labels(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "in", ORGANISMS)
    tables = genome_folder.read_tables(tmp_path / "in")
    assert tables.genomes["genus"].to_pylist() == ["Aaa", "Aaa", "Bbb", "Ccc", "Ddd"]
    genes = {row["gene"]: row for row in tables.genes.to_pylist()}
    sequences = tables.proteins["sequence"].to_pylist()
    for made in (gene for genome in genomes for gene in genome.genes):
        row = genes[made.tag]
        assert (row["start"], row["end"], row["strand"]) == (made.start, made.end, made.strand)
        assert sequences[row["protein"]] == made.protein
        assert row["ec"] == (number_of(made.family) if made.family < 12 else None)


def test_corpus_is_complete_and_readable(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", ORGANISMS)
    record = build(tmp_path / "in", tmp_path / "out", test=1)
    tables = corpus.read_tables(tmp_path / "out")
    assert record == json.loads((tmp_path / "out" / "corpus.json").read_text())
    assert record["counts"]["genes"] == tables.genes.num_rows == 5 * 30
    assert tables.proteins["protein"].to_pylist() == list(range(tables.proteins.num_rows))
    assert set(tables.genomes["split"].to_pylist()) == {"train", "valid", "test"}
    by_genus: dict[str, set[str]] = {}
    for row in tables.genomes.to_pylist():
        by_genus.setdefault(row["genus"], set()).add(row["split"])
    assert len(by_genus["Aaa"]) == 1


def test_the_corpus_command_says_that_relatives_were_parted(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "in", ["Aaa one", "Aaa two", "Aaa three"])
    write_clusters(tmp_path / "in" / "clusters.tsv", genomes)
    own = json.loads(recipes.known()["own"].read_text())
    own["corpus"]["clusters"] = "clusters.tsv"
    (tmp_path / "own.json").write_text(json.dumps(own))
    paths = [str(tmp_path / name) for name in ("own.json", "in", "out")]
    result = CliRunner().invoke(cli, ["corpus", paths[0], "--data", paths[1], "-o", paths[2]])
    assert result.exit_code == 0, result.output
    assert "split: 1 train, 1 valid, 1 test; by genome, because there are too few genera" in result.output


def test_genomes_for_testing_train_no_encoder(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "in", ORGANISMS)
    record = build(tmp_path / "in", tmp_path / "out", test=1)
    (tested,) = (row["genome"] for row in record["genomes"] if row["split"] == "test")
    others = {g.protein for n, genome in enumerate(genomes) if n != tested for g in genome.genes}
    encoder = corpus.pq.read_table(tmp_path / "out" / "encoder_proteins.parquet")["sequence"].to_pylist()
    assert set(encoder) == others and len(encoder) == len(others)


def test_short_contigs_are_left_out_with_a_reason(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", ORGANISMS)
    short = make_genome("Eee one", ancestors(corpus.MIN_GENES - 1, seed=9), seed=7)
    (tmp_path / "in" / "short.gff3").write_text(gff3(short))
    record = build(tmp_path / "in", tmp_path / "out")
    assert record["left_out"] == {"5": "no contig of 15 genes or more"}


@needs_mmseqs
def test_held_out_proteins_are_marked_and_train_no_encoder(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "in", ORGANISMS[2:])
    benchmark = frozenset({genomes[0].genes[7].protein})
    # A genome at 20 % distance: near, never identical.
    relative = make_genome("Xxx one", [gene.protein for gene in genomes[1].genes[:20]], 55, mutated=0.15)
    near = frozenset(gene.protein for gene in relative.genes)
    record = build(tmp_path / "in", tmp_path / "out", heldout.HeldOut(near, benchmark))
    proteins = corpus.read_tables(tmp_path / "out").proteins.to_pylist()
    assert {row["sequence"] for row in proteins if row["is_heldout_identical"]} == benchmark
    marked = {row["sequence"] for row in proteins if row["near_heldout"]}
    assert {gene.protein for gene in genomes[1].genes[:20]} <= marked
    assert not marked & {gene.protein for genome in genomes for gene in genome.genes[20:]}
    assert record["counts"]["windows_near_heldout"] >= 1
    encoder = corpus.pq.read_table(tmp_path / "out" / "encoder_proteins.parquet")
    assert benchmark.isdisjoint(encoder["sequence"].to_pylist())
    assert encoder.num_rows == len({g.protein for genome in genomes for g in genome.genes}) - 1


def test_a_relative_of_the_held_out_genome_is_not_drawn(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "in", ORGANISMS)
    tables = genome_folder.read_tables(tmp_path / "in")
    same = frozenset(gene.protein for gene in genomes[3].genes[:6])
    identical = np.isin(tables.proteins["sequence"].to_pylist(), list(same))
    reasons = corpus.relatives(tables, identical)
    assert reasons == {3: "relative of a held-out genome: 20% of its proteins are identical"}


def test_excluded_genomes_keep_their_reason(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", ORGANISMS)
    tables = genome_folder.read_tables(tmp_path / "in")
    options = corpus.CorpusOptions(valid=1, exclude={2: "yeast"})
    clusters = np.arange(tables.proteins.num_rows)
    record = corpus.build(
        tables, tmp_path / "out", options=options, origin="made", held_out=NOTHING, clusters=clusters
    )
    assert record["left_out"] == {"2": "yeast"}
    assert 2 not in [entry["genome"] for entry in record["genomes"]]


def test_windows_count_as_forbidden_beyond_half() -> None:
    genes = pa.table({"contig": [0] * 60, "index": list(range(60)), "protein": list(range(60))})
    near = [n < 15 or n >= 44 for n in range(60)]  # 15 of the first 30, 16 of the second
    proteins = pa.table({"near_heldout": near})
    empty = pa.table({"a": []})
    assert corpus.count_near_windows(corpus.Tables(empty, empty, genes, proteins)) == (1, 2)


def test_clusters_are_read_with_letters_before_numbers(tmp_path: Path) -> None:
    path = tmp_path / "clusters.tsv"
    path.write_text("c2\tc2\nc2\tc0\nc1\tc1\n")
    assert corpus.read_clusters(path, 3).tolist() == [2, 1, 2]
    with pytest.raises(InputError, match="exactly once"):
        corpus.read_clusters(path, 4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"c\xe9\tc0\n",
        "c0\tc0\n".encode("utf-16"),
        b"c0\n",
        b"c0\tc0\tc0\n",
        b"\0" * 9,
        b"c0\tc\n",
        b"c0\tc1e9\n",
    ],
)
def test_a_damaged_clustering_is_said(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clusters.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"clusters\.tsv: is no clustering, or damaged \(") as error:
        corpus.read_clusters(path, 1)
    assert len(str(error.value)) < 400
    with pytest.raises(InputError, match="no such file"):
        corpus.read_clusters(tmp_path / "none", 1)


@needs_mmseqs
def test_linclust_joins_a_family_and_parts_strangers() -> None:
    from glm_annot.training.corpus import similarity

    ancestor, stranger = ancestors(2, seed=4, length=120)
    child = ancestor[:60] + "W" + ancestor[61:]
    clusters = similarity.cluster([ancestor, stranger, child])
    assert clusters[0] == clusters[2] != clusters[1]


def test_a_leaked_label_is_refused() -> None:
    held_out = heldout.HeldOut(frozenset({"MKKL"}), frozenset({"MAAA"}))
    heldout.refuse_leaks(["MKKI", "MKKI"], held_out)
    with pytest.raises(GlmAnnotError, match="1 proteins with EC labels"):
        heldout.refuse_leaks(["mkkl*"], held_out)


def test_held_out_sequences_from_every_format(tmp_path: Path) -> None:
    genome = write_folder(tmp_path, ["Aaa one"], families=20)[0]
    proteins = {gene.protein for gene in genome.genes}
    (tmp_path / "p.faa").write_text("".join(f">{n}\n{p}*\n" for n, p in enumerate(sorted(proteins))))
    (tmp_path / "p.tsv").write_text("id\tsequence\n" + "".join(f"x\t{p}\n" for p in proteins))
    for name in ("g0.gbk", "p.faa", "p.tsv"):
        assert heldout.read_sequences(tmp_path / name) == proteins


def test_two_formats_of_one_stem_are_one_genome(tmp_path: Path) -> None:
    genome = write_folder(tmp_path, ["Aaa one"])[0]
    (tmp_path / "g0.gff3").write_text(gff3(genome))
    assert [path.name for path in genome_folder.annotation_files(tmp_path)] == ["g0.gbk"]


def test_proteins_beside_a_gff3_are_read(tmp_path: Path) -> None:
    genome = make_genome("Aaa one", ancestors(20), seed=1)
    (tmp_path / "a.gff3").write_text(gff3(genome).split("##FASTA")[0])
    (tmp_path / "a.faa").write_text("".join(f">{gene.tag}\n{gene.protein}\n" for gene in genome.genes))
    tables = genome_folder.read_tables(tmp_path)
    assert tables.proteins["sequence"].to_pylist() == [gene.protein for gene in genome.genes]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ec.tsv", "protein\tnumber\nS100_001\t1.1.1.1\n", "line 1: no column 'ec'"),
        ("ec.tsv", "protein\tec\nS100_001\t1.1.1\n", "line 2: '1.1.1' is no EC number"),
        ("ec.tsv", "protein\tec\nS100_001\t2.7.-.5\n", "line 2: '2.7.-.5' is no EC number"),
        ("ec.tsv", "protein\tec\nnobody\t1.1.1.1\n", "no gene is called 'nobody'"),
        ("ec.tsv", "protein\tec\nS100_001\n", "line 2: an empty field"),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    write_folder(tmp_path, ORGANISMS[:2])
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        genome_folder.read_tables(tmp_path)


def test_bad_operon_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "operons.tsv").write_text("contig\tgene_a\tgene_b\tlabel\nc\ta\tb\tyes\n")
    with pytest.raises(
        InputError,
        match=r"operons\.tsv, line 2: label 'yes' is not valid; write 1 for two genes of one operon",
    ):
        genome_folder.read_operons(tmp_path / "operons.tsv")


@pytest.mark.parametrize(
    ("organism", "genus"),
    [
        ("Escherichia coli K-12", "Escherichia"),
        ("Candidatus Sodalis pierantonius", "Sodalis"),
        ("[Clostridium] innocuum", "Clostridium"),
        ("Synechococcus sp. PCC 7002", "Synechococcus"),
        ("Methanobacterium congolense", "Methanobacterium"),
        ("uncultured bacterium", "?"),
        ("Genus species", "?"),  # Prokka's default
        ("Genus species strain", "?"),
        ("Gammaproteobacteria sp. OM252", "?"),
        ("Candidatus Bathyarchaeota archaeon", "?"),
        ("Uncultured Methanosarcinales sp.", "?"),
        ("Enterobacteriaceae bacterium", "?"),
        ("Cald_kris (single shotgun)", "?"),
        (".", "?"),
        ("unknown", "?"),
        ("", "?"),
    ],
)
def test_genus(organism: str, genus: str) -> None:
    assert genome_folder.genus_of(organism) == genus
