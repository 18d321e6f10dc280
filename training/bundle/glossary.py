"""Explains the terms of a model card's figures."""

from __future__ import annotations

# Groups of metrics.json -> term -> what it means.
TERMS: dict[str, dict[str, str]] = {
    "ec": {
        "New-392": "enzymes that Swiss-Prot took up after the program CLEAN was trained.",
        "CARE-30, CARE-30-50": "enzymes of the benchmark CARE that are less than 30 %, and 30 to 50 %, "
        "identical to its training proteins.",
        "K-12": "*E. coli* K-12 MG1655, with the EC numbers of its NCBI annotation; a gene without one "
        "counts as no enzyme.",
        "Hit rate": "share of enzymes for which a called EC number is right to its last level. An enzyme "
        "without a call counts as wrong.",
        "First guess": "the likeliest EC number of a protein, however low its confidence.",
        "Precision, recall, F1": "share of right calls among all calls, share of true numbers that are "
        "called, and their harmonic mean. On the benchmarks F1 is taken for each protein and averaged.",
        "DIAMOND best hit": "the EC numbers of the most similar protein, found by search among all labelled "
        "proteins but those identical to one of the set that is scored.",
        "With an identity cut": "the same, where that protein is similar enough. How similar is chosen on "
        "other genes than those that are scored.",
        "With `--reference`": "the model may search the same labelled proteins as DIAMOND.",
        "Calibration error": "mean difference between a confidence and the share that is right at that "
        "confidence.",
    },
    "operons": {
        "Average precision": "1 where every pair of neighbours of one operon ranks before all other pairs; "
        "by chance it is the share of such pairs.",
        "Heads fitted anew": "operon heads that were fitted for these figures, without the organism or "
        "region that they are tested on. The operon head in this model is not the one that was measured.",
        "UniOP": "the published figure of another program on the same pairs.",
    },
    "neighbours": {
        "Found by the memory of gene order": "a hidden gene is found if the guessed gene family points to it "
        "among the genes of its window, by the embeddings of this model. Regions of other genomes that "
        "resemble the genome are left out. The paper's figures are for orientation: its embeddings differ.",
        "Told from shuffled ones, or from genes of other genomes": "0.5 by chance, 1 where every gene fits "
        "its own place better than a misplaced gene does. Related genomes share 80 % of the smaller one's "
        "gene families or more, unrelated ones less than half.",
    },
    "rings": {
        "Nearest genome": "the greatest share of gene families (of the smaller genome) that a genome in the "
        "memory has in common with the one that is read. A run says it.",
    },
    "hints": {
        "Name hidden": "the gene is read as if nobody had named its family; a name is right if another "
        "family of the same name gives it. What a gene is, its cluster of similar proteins says.",
    },
    "masked_genes": {
        "Masked genes": "gLM reads windows of genes with some of them hidden, and makes four predictions of "
        "each hidden gene.",
        "Pseudo-accuracy": "share of hidden genes to which one of the four predictions is nearest.",
        "Absolute accuracy": "the same of the one prediction that gLM holds likeliest.",
        "AUROC": "0.5 by chance, 1 where every gene fits its own place better than another gene's.",
        "biLSTM": "a simpler network of the same size, trained on the same genomes for as long.",
    },
}


def terms_of(groups: list[str]) -> str:
    """The terms of some groups of figures as a Markdown list; '' for groups without any."""
    return "\n".join(
        f"- **{term}**: {means}" for group in groups for term, means in TERMS.get(group, {}).items()
    )
