"""Pretraining of the protein encoder: masked residues and homologous pairs, in one forward pass.

A batch holds two members of each of P clusters (MMseqs2, see `corpus`), cropped and with residues masked.

- Masked residues: cross entropy of ESM2's language-model head on 15 % of the residues, 80 % of them masked,
  10 % replaced, 10 % left (Lin et al. 2023).
- Homologues: the projected mean embeddings of the two members attract, all other clusters repel. This is the
  normalised temperature-scaled cross entropy (Chen et al. 2020, SimCLR) with the embeddings of past batches
  as more negatives (Wang et al. 2020, cross-batch memory). Small encoders learn families from it in a
  fraction of the tokens that masked residues alone would need.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glm_annot.errors import InputError
from glm_annot.model.esm import ALPHABET, MASK, N_TOKENS, STANDARD_RESIDUES, Encoder, Pack, embed, tokenize

from ..common.engine import Engine
from ..common.inputs import read_parquet
from ..settings import EngineConfig, TrainPLMConfig
from .exports import export_encoder
from .head_start import start_from_pairs

_CROP_STEP = 16  # residues; crops are multiples of it, so that a pack holds few distinct lengths
_IGNORED = -1  # cluster number of an empty slot of the memory
_STANDARD_TOKENS = torch.tensor([ALPHABET.get_idx(letter) for letter in STANDARD_RESIDUES])


@dataclass(frozen=True)
class EncoderBatch:
    """Corrupted proteins and what to say of them.

    Attributes:
        pack: the corrupted proteins, by length.
        places_M: positions in the pack whose residue is to be predicted.
        residues_M: the true tokens there.
        clusters_S: cluster of each protein.
    """

    pack: Pack
    places_M: Tensor
    residues_M: Tensor
    clusters_S: Tensor


class ProteinPairs:
    """All proteins with a homologue, grouped by cluster; draws training pairs.

    Args:
        table: columns `sequence` and `cluster`.
        config: see TrainPLMConfig.

    Raises:
        InputError: fewer than two clusters of two members remain.
    """

    def __init__(self, table: pa.Table, config: TrainPLMConfig) -> None:
        self._config = config
        self._sequences = table.column("sequence").combine_chunks()
        cluster_G = table.column("cluster").to_numpy().astype(np.int64)
        order = np.argsort(cluster_G, kind="stable")
        ids, first, size = np.unique(cluster_G[order], return_index=True, return_counts=True)
        paired = np.random.default_rng(0).permutation(np.flatnonzero(size >= 2))
        n_held = min(config.held_out_clusters, len(paired) // 5)
        if len(paired) - n_held < 2:
            raise InputError(
                "the corpus has fewer than two clusters of two proteins: too few to learn families"
            )
        self._order, self._ids, self._first, self._size = order, ids, first, size
        self._held, self._train = paired[:n_held], np.sort(paired[n_held:])
        self._cumulative = np.cumsum(np.minimum(size[self._train], config.most_per_cluster), dtype=np.float64)

    def draw(self, generator: torch.Generator) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Two members of each of `pairs` clusters, pair after pair: sequences and cluster numbers."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        spots = rng.random(self._config.pairs) * self._cumulative[-1]
        return self._members(self._train[np.searchsorted(self._cumulative, spots, side="right")], rng)

    def many(self, count: int) -> list[str]:
        """At least `count` proteins of training clusters, pair after pair; the same ones in every call."""
        generator = torch.Generator().manual_seed(0)
        drawn: list[str] = []
        while len(drawn) < count:
            drawn += self.draw(generator)[0]
        return drawn

    def held_out(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Two members of each held-out cluster."""
        return self._members(self._held, np.random.default_rng(0))

    def _members(
        self, clusters: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[list[str], npt.NDArray[np.int64]]:
        rows = [
            self._order[self._first[c] + member]
            for c in clusters
            for member in rng.choice(self._size[c], 2, replace=False)
        ]
        return [self._sequences[int(row)].as_py() for row in rows], np.repeat(self._ids[clusters], 2)


def make_batch(
    proteins: list[str],
    clusters: npt.NDArray[np.int64],
    config: TrainPLMConfig,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> EncoderBatch:
    """Crops, packs and corrupts proteins; `proteins` holds pair after pair."""
    # Both of a pair are cropped at one relative place: stretches that do not align share only composition.
    where = torch.rand(len(proteins) // 2, generator=generator).repeat_interleave(2).tolist()
    crops = [_crop(tokenize(protein), config.crop, at) for protein, at in zip(proteins, where, strict=True)]
    order = sorted(range(len(crops)), key=lambda place: len(crops[place]))
    pack = Pack.of([crops[place] for place in order])
    tokens_N = pack.tokens_N
    is_residue_N = torch.isin(tokens_N, _STANDARD_TOKENS)
    chance_N = torch.rand(tokens_N.shape, generator=generator)
    places_M = torch.nonzero(is_residue_N & (chance_N < config.mask_rate)).squeeze(1)
    residues_M = tokens_N[places_M]
    fate_M = chance_N[places_M] / config.mask_rate
    others_M = _STANDARD_TOKENS[torch.randint(len(_STANDARD_TOKENS), places_M.shape, generator=generator)]
    shown_M = torch.where(fate_M < 0.8, torch.tensor(MASK), torch.where(fate_M < 0.9, others_M, residues_M))
    corrupted = Pack(tokens_N.index_copy(0, places_M, shown_M).to(device), pack.groups)
    clusters_S = torch.from_numpy(clusters[order]).to(device)
    return EncoderBatch(corrupted, places_M.to(device), residues_M.to(device), clusters_S)


def _crop(residues: npt.NDArray[np.int64], longest: int, where: float) -> npt.NDArray[np.int64]:
    """At most `longest` residues, if possible a multiple of the crop step; `where` runs from 0 to 1."""
    length = min(len(residues), longest)
    length = max(length - length % _CROP_STEP, min(length, _CROP_STEP))
    start = int(where * (len(residues) - length + 1))
    return residues[start : start + length]


class EncoderObjective(nn.Module):
    """The encoder under its two losses; `forward(batch)` gives (loss, figures)."""

    bank_QP: Tensor
    bank_clusters_Q: Tensor
    bank_next: Tensor

    def __init__(self, config: TrainPLMConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        _initialise(self.encoder)
        # Without centring, what all proteins share would be most of every cosine.
        self.projection = nn.Sequential(
            nn.BatchNorm1d(config.encoder.dim, affine=False),
            nn.Linear(config.encoder.dim, config.projection, bias=False),
        )
        self.register_buffer("bank_QP", torch.zeros(config.memory, config.projection))
        self.register_buffer("bank_clusters_Q", torch.full((config.memory,), _IGNORED))
        self.register_buffer("bank_next", torch.zeros((), dtype=torch.long))

    def forward(self, batch: EncoderBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of both losses and each of them."""
        x_ND = self.encoder(batch.pack)
        logits_MV = self.encoder.lm_head(x_ND[batch.places_M]).float()
        mlm = F.cross_entropy(logits_MV.view(-1, N_TOKENS), batch.residues_M)
        projected_SP = F.normalize(self.projection(self.encoder.means(x_ND, batch.pack)).float(), dim=-1)
        pairs = self._pair_loss(projected_SP, batch.clusters_S)
        if self.training:
            self._remember(projected_SP.detach(), batch.clusters_S)
        figures = {"mlm": mlm.detach(), "pairs": pairs.detach(), "perplexity": mlm.detach().exp()}
        return mlm + self.config.pair_weight * pairs, figures

    def _pair_loss(self, z_SP: Tensor, clusters_S: Tensor) -> Tensor:
        """Mean over ordered pairs i, j of one cluster of -log e^s_ij / (e^s_ij + sum of other clusters)."""
        others_CP = torch.cat([z_SP, self.bank_QP])
        clusters_C = torch.cat([clusters_S, self.bank_clusters_Q])
        similarity_SC = z_SP @ others_CP.T / self.config.temperature
        same_SC = clusters_S[:, None] == clusters_C[None, :]
        negative_SC = ~same_SC & (clusters_C != _IGNORED)
        repulsion_S = similarity_SC.masked_fill(~negative_SC, -torch.inf).logsumexp(dim=1)
        positive_SS = same_SC[:, : len(z_SP)] & ~torch.eye(len(z_SP), dtype=torch.bool, device=z_SP.device)
        i, j = positive_SS.nonzero(as_tuple=True)
        attraction = similarity_SC[i, j]
        return (torch.logaddexp(attraction, repulsion_S[i]) - attraction).mean()

    def _remember(self, z_SP: Tensor, clusters_S: Tensor) -> None:
        """Writes a batch over the oldest slots of the memory."""
        slots = (self.bank_next + torch.arange(len(z_SP), device=z_SP.device)) % self.config.memory
        self.bank_QP[slots] = z_SP
        self.bank_clusters_Q[slots] = clusters_S
        self.bank_next += len(z_SP)


def _initialise(encoder: Encoder) -> None:
    """Starts with residues plain in the residual stream: fair-esm's own start drowns them in layer noise.

    Embeddings of unit variance, residual branches scaled by 1 / sqrt(branches) (Radford et al. 2019), and the
    head tied to the embeddings normalised so that its first logits have unit variance.
    """
    scale = (2 * encoder.config.layers) ** -0.5
    with torch.no_grad():
        encoder.embed_tokens.weight.normal_()
        encoder.lm_head.layer_norm.weight.fill_(encoder.config.dim**-0.5)
        for layer in encoder.layers:
            layer.self_attn.out_proj.weight.mul_(scale)
            layer.fc2.weight.mul_(scale)


def retrieval(encoder: Encoder, proteins: list[str], clusters: npt.NDArray[np.int64]) -> float:
    """Share of proteins whose nearest by cosine of z-scored embeddings is of their own cluster."""
    x_GD = torch.from_numpy(embed(encoder, proteins, precision="fp32"))
    x_GD = F.normalize((x_GD - x_GD.mean(0)) / x_GD.std(0).clamp_min(1e-6), dim=1)
    similarity_GG = (x_GD @ x_GD.T).fill_diagonal_(-torch.inf)
    return float((clusters[similarity_GG.argmax(1).numpy()] == clusters).mean())


def train_plm(
    proteins: Path,
    folder: Path,
    config: TrainPLMConfig,
    engine_config: EngineConfig,
) -> Path:
    """Pretrains an encoder and exports it; resumes where an earlier call stopped.

    Args:
        proteins: Parquet file with columns `sequence` and `cluster`; a corpus folder's encoder_proteins, from
            which held-out proteins are gone already.
        folder: run folder.
        config: the task.
        engine_config: the optimiser; a step sees `config.pairs` pairs a process.

    Returns:
        The folder, holding `plm.safetensors` and `plm.json`.
    """
    pairs = ProteinPairs(read_parquet(proteins, ["sequence", "cluster"]), config)
    torch.manual_seed(engine_config.seed)
    objective = EncoderObjective(config)
    if config.start == "pairs":
        start_from_pairs(objective.encoder, pairs.many(config.start_proteins))
    engine = Engine(objective, engine_config, folder)
    held_out = pairs.held_out()

    def batch(step: int) -> EncoderBatch:
        generator = engine.generator(step)
        return make_batch(*pairs.draw(generator), config, generator, engine.device)

    def validate() -> dict[str, float]:
        return {"retrieval": retrieval(objective.encoder, *held_out)} if held_out[0] else {}

    engine.train(batch, validate)
    if engine.rank == 0:
        export_encoder(objective.encoder, folder)
    return folder
