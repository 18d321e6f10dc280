"""docs/input-files.md says what is done with odd files; for each row of it there are tests that hold it."""

from __future__ import annotations

from importlib import import_module

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "input-files.md"
# The first words of each row, and tests of it: module below tests/annot, function.
HELD_BY = {
    "several GFF3 files joined by `cat`": ["io.test_gff3.test_files_joined_into_one_are_refused"],
    "several GenBank or EMBL files joined": ["io.test_genbank.test_damage_is_named_with_its_line"],
    "a byte order mark on a later line": ["io.test_growth.test_a_mark_in_the_middle_is_a_second_file"],
    "CDS that cover their contigs more than ten times": [
        "io.test_growth.test_cds_that_cover_their_contig_many_times_are_refused"
    ],
    "a chain of parents": ["io.test_growth.test_a_long_chain_of_parents_is_followed_a_few_steps"],
    "a line that is no sequence after `##FASTA`": ["io.test_sequences.test_bad_fasta_names_the_line"],
    "one ID on several lines": [
        "io.test_gff3.test_one_id_on_several_lines",
        "io.test_gff3.test_trans_splicing_joins_parts_of_two_strands",
        "io.test_gff3.test_genes_of_one_parent_and_lines_without_bases_are_said",
    ],
    "one Parent, but no ID, on several lines": [
        "io.test_gff3.test_parts_whose_joined_bases_have_no_stop_are_one_gene",
        "io.test_gff3.test_genes_of_one_parent_and_lines_without_bases_are_said",
    ],
    "one ID on several gene lines": [
        "io.test_gff3.test_of_genes_with_one_id_the_cds_has_the_names_of_that_which_it_lies_in"
    ],
    "the same line twice": [
        "io.test_gff3.test_one_id_on_several_lines",
        "io.test_gff3.test_a_line_without_id_that_stands_twice_is_one_gene",
    ],
    "two CDS at one place": ["io.test_genbank.test_the_same_cds_twice_is_predicted_once"],
    "a gene in parts with other genes between them": [
        "operons.test_places.test_gaps_are_measured_by_the_nearest_part",
        "operons.test_places.test_an_operon_does_not_span_the_genes_between_two_parts",
    ],
    "quotes around values, items or the whole column 9; names in another case": [
        "io.test_gff3.test_quotes_and_the_case_of_names_are_no_part_of_what_is_read"
    ],
    '`pseudo=""` or `pseudo` without a value': ["io.test_gff3.test_what_marks_a_pseudogene"],
    "a CDS in a line that begins with `##`": ["io.test_gff3.test_a_cds_in_a_directive_is_said"],
    "features other than CDS:": [
        "io.test_gff3.test_what_no_cds_depends_on_is_kept_as_it_is",
        "io.test_gff3.test_positions_of_a_gene_line_that_are_no_numbers_are_kept_with_one_warning",
        "io.test_genbank.test_nothing_depends_on_other_features",
    ],
    "a gene and its CDS with one ID": ["io.test_gff3.test_what_no_cds_depends_on_is_kept_as_it_is"],
    "strand `1` and `-1`; empty columns after the ninth; type `cds`; U for T": [
        "io.test_gff3.test_a_type_in_lower_case_and_a_strand_in_numbers_are_read_as_meant",
        "io.test_gff3.test_an_empty_tenth_column_stays_behind_what_is_added",
        "io.test_gff3.test_rna_letters_are_bases",
    ],
    "a phase or `codon_start` that is not a valid number": [
        "io.test_gff3.test_what_is_wrong_with_one_cds_costs_only_that_cds",
        "io.test_genbank.test_what_is_wrong_with_one_cds_costs_only_that_cds",
    ],
    "`<1` or `>900` as a position (GFF3)": ["io.test_gff3.test_marks_of_open_ends_are_no_part_of_positions"],
    "gene lines that reach past the end of their contig": [
        "io.test_gff3.test_a_gene_line_beyond_its_contig_is_kept_with_one_warning"
    ],
    "a CDS that reaches past the end of its contig, begins at 0 or below, or lies in another record": [
        "io.test_gff3.test_what_is_wrong_with_one_cds_costs_only_that_cds",
        "io.test_genbank.test_what_is_wrong_with_one_cds_costs_only_that_cds",
        "io.test_genbank.test_a_cds_in_another_record_is_skipped",
        "io.test_bakta_json.test_a_cds_that_begins_nowhere_is_skipped",
    ],
    "a CDS with too few or too many columns": [
        "io.test_gff3.test_what_is_wrong_with_one_cds_costs_only_that_cds",
        "io.test_bakta_json.test_a_cds_that_begins_nowhere_is_skipped",
    ],
    "a CDS whose location or qualifiers cannot be read": [
        "io.test_genbank.test_a_cds_that_cannot_be_read_is_skipped"
    ],
    "a location that begins in another column": [
        "io.test_genbank.test_a_location_may_begin_in_another_column"
    ],
    "a `transl_table` that is no NCBI genetic code": [
        "io.test_gff3.test_unknown_genetic_codes_are_left_aside_with_one_warning",
        "io.test_genbank.test_an_unknown_genetic_code_is_left_aside_with_one_warning",
    ],
    "CDS with a start after its end": [
        "io.test_gff3.test_bad_input_names_the_line",
        "io.test_genbank.test_a_location_that_runs_backwards_says_what_is_meant",
        "io.test_bakta_json.test_faults_are_named",
    ],
    "`glm_ec` and other names that glm-annot writes": [
        "io.test_gff3.test_additions_without_our_comment_are_kept_but_not_added_to"
    ],
    "spaces where tabs belong": [
        "io.test_gff3.test_bad_input_names_the_line",
        "io.test_source.test_unusable_inputs_say_what_they_are",
    ],
}


def test_each_row_is_held_by_tests() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Odd files")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ")[0] for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(HELD_BY)
    for row, (begins, tests) in zip(rows, HELD_BY.items(), strict=True):
        assert row.startswith(begins)
        for test in tests:
            module, _, name = test.rpartition(".")
            assert callable(getattr(import_module(f"tests.annot.{module}"), name)), test
