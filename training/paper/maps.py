"""Maps of embeddings, and what contextualisation changes in them.

Axes: N genes, F features, S kinds of features.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr, wilcoxon
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from glm_annot.ec_numbers import is_complete
from glm_annot.records import Genome

NEIGHBOURS = 10  # nearest in the space of an embedding
REACH = 10  # genes; as far apart are two of one place of the genome
LEAST_MEMBERS, LEAST_GENOMES = 8, 5  # of a family that is looked at
SHUFFLES = 20  # for what chance gives

Features = Mapping[str, npt.NDArray[np.floating]]  # name -> (N, F)


def genes_table(genome: Genome) -> pd.DataFrame:
    """Coding genes: gene, name, contig, position (middle, bases), and ec_class ('1' to '7', or '')."""
    rows = []
    for contig in genome.contigs:
        for gene in contig.coding:
            complete = [number for number in gene.ec if is_complete(number)]
            classes = {number.split(".")[0] for number in complete}
            rows.append(
                {
                    "gene": gene.locus_tag or gene.id,
                    "name": gene.name,
                    "contig": contig.name,
                    "position": (gene.start + gene.end) // 2,
                    "ec_class": classes.pop() if len(classes) == 1 else "",
                }
            )
    return pd.DataFrame(rows)


def project(features: Features, genes: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """First two principal components of z-scored features; columns of `genes`, then features, x, y."""
    tables = []
    for name, x_NF in features.items():
        places = PCA(2, random_state=seed).fit_transform(_scaled(x_NF))
        tables.append(genes.assign(features=name, x=places[:, 0], y=places[:, 1]))
    return pd.concat(tables)


def neighbour_agreement(features: Features, genes: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Who a gene's ten nearest neighbours are in the space of an embedding (Euclidean, z-scored).

    Columns: features; same_class, share of an enzyme's neighbours among enzymes that are of its EC class; and
    same_place, share of a gene's neighbours that lie within ten genes of it; each with what shuffled genes
    give (`_chance`).
    """
    rng = np.random.default_rng(seed)
    enzymes = np.flatnonzero(genes["ec_class"] != "")
    class_N = genes["ec_class"].to_numpy()[enzymes]
    contig_N = pd.factorize(genes["contig"])[0]
    order_N = np.arange(len(genes))

    def near(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.asarray((np.abs(order_N[a] - order_N[b]) <= REACH) & (contig_N[a] == contig_N[b]))

    def alike(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.asarray(class_N[a] == class_N[b])

    rows = []
    for name, x_NF in features.items():
        row: dict[str, object] = {"features": name}
        for what, chosen, same in (("same_class", enzymes, alike), ("same_place", order_N, near)):
            if len(chosen) > NEIGHBOURS:
                index = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(_scaled(x_NF[chosen]))
                found_NK = index.kneighbors(return_distance=False)  # itself is left out
                self_N1 = np.arange(len(chosen))[:, None]
                shuffled = [rng.permutation(len(chosen)) for _ in range(SHUFFLES)]
                row[what] = float(same(self_N1, found_NK).mean())
                row[f"{what}_chance"] = float(
                    np.mean([same(p[self_N1], p[found_NK]).mean() for p in shuffled])
                )
        rows.append(row)
    return pd.DataFrame(rows)


def families(enzymes: pd.DataFrame) -> list[npt.NDArray[np.int64]]:
    """Rows of each family: proteins of one EC number and identity group, many enough in enough genomes."""
    found = []
    for _, members in enzymes.groupby(["ec", "group"], sort=True):
        if len(members) >= LEAST_MEMBERS and members["genome"].nunique() >= LEAST_GENOMES:
            found.append(members.index.to_numpy())
    return found


def context_follows(
    features: Features, surroundings_NF: npt.NDArray[np.floating], members: list[npt.NDArray[np.int64]]
) -> pd.DataFrame:
    """How far distances within a gene family follow those between their surroundings.

    Columns family (from 1), members, features, rho: Spearman's correlation, over all pairs of a family, of
    the cosine distance of the features with that of the surroundings (see `paper_inputs.surroundings`). The
    encoder has not seen the surroundings: its rho is what relatedness of the genomes gives.
    """
    rows = []
    for number, rows_M in enumerate(members, 1):
        around = pdist(np.asarray(surroundings_NF[rows_M], np.float64), "cosine")
        for name, x_NF in features.items():
            rho = spearmanr(pdist(np.asarray(x_NF[rows_M], np.float64), "cosine"), around).statistic
            rows.append({"family": number, "members": len(rows_M), "features": name, "rho": float(rho)})
    return pd.DataFrame(rows, columns=["family", "members", "features", "rho"])


def context_summary(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Mean rho over families, its standard deviation, and Wilcoxon's signed-rank test against a baseline."""
    wide = table.pivot(index="family", columns="features", values="rho")
    rows = []
    for name in dict.fromkeys(table["features"]):
        change = (wide[name] - wide[baseline]).dropna()
        p = float(wilcoxon(change).pvalue) if len(change) and change.any() else 1.0
        rho = wide[name].dropna()
        rows.append(
            {"features": name, "families": len(rho), "rho": rho.mean(), "rho_sd": rho.std(), "p_change": p}
        )
    return pd.DataFrame(rows)


def family_map(
    features: Features,
    surroundings_NF: npt.NDArray[np.floating],
    rows_M: npt.NDArray[np.int64],
    enzymes: pd.DataFrame,
    *,
    seed: int,
) -> pd.DataFrame:
    """One family's members on the first two components of each kind of features.

    Columns protein, genome, ec, features, x, y, and surroundings: place along the first component of
    what surrounds them.
    """
    around = PCA(1, random_state=seed).fit_transform(_scaled(surroundings_NF[rows_M]))[:, 0]
    known = enzymes.loc[rows_M, ["protein", "genome", "ec"]].assign(surroundings=around)
    return project({name: x_NF[rows_M] for name, x_NF in features.items()}, known, seed=seed)


def _scaled(x_NF: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.asarray(StandardScaler().fit_transform(np.asarray(x_NF, np.float64)))
