"""The family encoder: a protein as the sum of the embeddings of its k-mers, read by a small network.

It is a deep averaging network (Iyyer et al. 2015) over k-mers whose embeddings are looked up and summed, the
rarer kinds by their hash, as fastText does with the parts of words (Bojanowski et al. 2017). Trained so that
proteins of one family lie close together (see `training.encoder.contrastive`), it tells families apart about
as well as a sequence search does, at a million residues a second on two cores.

Kinds of k-mers, and the letters of each alphabet that count as one, are `KINDS`. A k-mer that has a letter
which is none of the twenty amino acids does not count. Axes: G proteins, N positions of all proteins laid end
to end, M k-mers of a kind, R rows of the table, K numbers a row, D numbers a protein.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glm_annot.errors import InputError
from glm_annot.model.devices import in_halves, one_ahead, sent
from glm_annot.model.sizes import FamilyEncoderConfig

ALPHABET_20 = tuple("ACDEFGHIKLMNPQRSTVWY")
ALPHABET_15 = ("LVIM", "C", "A", "G", "S", "T", "P", "FY", "W", "E", "D", "N", "Q", "KR", "H")
ALPHABET_10 = ("LVIM", "C", "AST", "G", "P", "FYW", "ED", "NQ", "KR", "H")

_HASH = 0x9E3779B9 - 2**32  # 2^32 / golden ratio (Knuth, multiplicative hashing), as a signed number
_USUAL_LOG_LENGTH = 5.5  # e^5.5 = 245 residues: the network reads the log length less this
_CPU_RESIDUES, _GPU_RESIDUES = 2**17, 2**22  # at once, but for a longer protein
_LEVELS = 7  # a number of the table is stored as -7 to 7 times its row's scale: 4 bits
_LEAST_SCALE = 2.0**-14  # of a row: the smallest normal number of 16 bits


@dataclass(frozen=True)
class Kind:
    """A kind of k-mers.

    Attributes:
        alphabet: groups of amino acids that count as one letter.
        places: which residues, counted from the first, make the k-mer.
    """

    alphabet: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def codes(self) -> int:
        """How many different k-mers there are."""
        return int(len(self.alphabet) ** len(self.places))


KINDS = (
    Kind(ALPHABET_20, (0, 1, 2)),
    Kind(ALPHABET_10, (0, 1, 2, 3)),
    Kind(ALPHABET_10, (0, 1, 3, 4, 6)),
    Kind(ALPHABET_15, (0, 2, 3, 4, 6)),
    Kind(ALPHABET_10, (0, 1, 2, 4, 5, 6)),
    Kind(ALPHABET_20, (0, 1, 2, 3)),
)
_GAP = max(kind.places[-1] for kind in KINDS)  # bytes between proteins, so that no k-mer spans two


def rows_of(config: FamilyEncoderConfig) -> tuple[int, ...]:
    """Rows of the table of k-mers for each of `KINDS`."""
    return tuple(min(kind.codes, 2**config.hash_bits) for kind in KINDS)


def _letters(alphabet: tuple[str, ...]) -> npt.NDArray[np.int32]:
    """ASCII code -> letter of an alphabet, lower case as upper case; 0 for other characters."""
    table = np.zeros(256, np.int32)
    for number, group in enumerate(alphabet):
        table[list((group + group.lower()).encode("ascii"))] = number
    return table


_LETTERS = {alphabet: _letters(alphabet) for alphabet in (ALPHABET_20, ALPHABET_15, ALPHABET_10)}
_IS_RESIDUE = np.isin(np.arange(256), list(("".join(ALPHABET_20) + "".join(ALPHABET_20).lower()).encode()))


@dataclass(frozen=True, slots=True)
class Kmers:
    """The k-mers of some proteins.

    Attributes:
        rows: for each of `KINDS` the rows in its part of the table, protein after protein, shape (M,).
        starts: for each of `KINDS` where each protein's begin, shape (G,).
        lengths_G: residues of each protein.
    """

    rows: tuple[Tensor, ...]
    starts: tuple[Tensor, ...]
    lengths_G: Tensor

    @classmethod
    def of(
        cls, proteins: Sequence[str], config: FamilyEncoderConfig, device: torch.device | str = "cpu"
    ) -> Kmers:
        """Finds the k-mers of proteins.

        Raises:
            InputError: a protein is empty or not ASCII.
        """
        lengths = [len(protein) for protein in proteins]
        if 0 in lengths:
            raise InputError("a protein is empty")
        text_N = _bytes("".join(protein + "\0" * _GAP for protein in proteins))
        is_residue_N = sent(torch.from_numpy(_IS_RESIDUE[text_N]), device)
        letters = {a: sent(torch.from_numpy(table[text_N]), device) for a, table in _LETTERS.items()}
        starts = [0, *accumulate(length + _GAP for length in lengths)][:-1]
        starts_G = sent(torch.tensor(starts, dtype=torch.int64), device)
        rows, firsts = [], []
        for kind in KINDS:
            begins_N = _spanned(is_residue_N, kind)
            code_M = _codes(letters[kind.alphabet], kind)[begins_N]
            rows.append(code_M if kind.codes <= 2**config.hash_bits else _hashed(code_M, config.hash_bits))
            before_N = begins_N.cumsum(0, dtype=torch.int32)
            firsts.append(before_N[starts_G] - begins_N[starts_G].int())
        return cls(tuple(rows), tuple(firsts), sent(torch.tensor(lengths, dtype=torch.float32), device))


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    try:
        return np.frombuffer(text.encode("ascii"), np.uint8)
    except UnicodeEncodeError as error:
        raise InputError(f"a protein holds the character {text[error.start]!r}") from error


def _spanned(is_residue_N: Tensor, kind: Kind) -> Tensor:
    """At which positions a k-mer begins, all of its letters being residues; none at the last `_GAP`."""
    last = len(is_residue_N) - _GAP
    begins_N = is_residue_N[:last].clone()
    for place in kind.places[1:]:
        begins_N &= is_residue_N[place : place + last]
    return begins_N


def _codes(letters_N: Tensor, kind: Kind) -> Tensor:
    """Number of the k-mer that begins at each position but the last `_GAP`."""
    last, base = len(letters_N) - _GAP, len(kind.alphabet)
    code_N = letters_N[:last].clone()
    for place in kind.places[1:]:
        code_N.mul_(base).add_(letters_N[place : place + last])
    return code_N


def _hashed(code_M: Tensor, bits: int) -> Tensor:
    """The highest bits of a product that mixes them well (32-bit numbers, which wrap around)."""
    hashed_M: Tensor = ((code_M * _HASH) >> (32 - bits)) & (2**bits - 1)
    return hashed_M


class FamilyEncoder(nn.Module):
    """Sums of k-mer embeddings / sqrt(length), then a residual network; embeddings have length 1."""

    def __init__(self, config: FamilyEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.kmers = nn.Parameter(torch.empty(sum(rows_of(config)), config.kmer_dim))
        nn.init.normal_(self.kmers, std=0.1)
        self.norm = nn.LayerNorm(config.kmer_dim + 1)
        self.first = nn.Linear(config.kmer_dim + 1, config.hidden)
        self.second = nn.Linear(config.hidden, config.hidden)
        self.last = nn.Linear(config.hidden, config.dim)

    def forward(self, kmers: Kmers) -> Tensor:
        """Embedding of each protein, shape (G, D)."""
        tables = torch.split(self.kmers, list(rows_of(self.config)))
        parts = zip(kmers.rows, tables, kmers.starts, strict=True)
        row_sums = cast(Callable[..., Tensor], _RowSums.apply)
        sums_GK = torch.stack([row_sums(*part) for part in parts]).sum(0)
        length_G1 = kmers.lengths_G[:, None]
        x_GK = torch.cat([sums_GK / length_G1.sqrt(), length_G1.log() - _USUAL_LOG_LENGTH], dim=1)
        h_GH = F.gelu(self.first(self.norm(x_GK)))
        h_GH = h_GH + F.gelu(self.second(h_GH))
        return F.normalize(self.last(h_GH), dim=1)

    def stored_state(self) -> dict[str, Tensor]:
        """Its state with the table in 4 bits a number: what `load_state_dict` takes, too."""
        state: dict[str, Tensor] = self.state_dict()
        nibbles_RK, scale_R = pack_rows(state.pop("kmers"))
        return {"kmers.nibbles": nibbles_RK, "kmers.scale": scale_R, **state}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As torch's; also of a stored state."""
        state = dict(state_dict)
        if "kmers.nibbles" in state:
            state["kmers"] = unpack_rows(state.pop("kmers.nibbles"), state.pop("kmers.scale"))
        return super().load_state_dict(state, strict, assign)

    @torch.no_grad()
    def round_table(self) -> None:
        """Rounds the table to what is stored of it, so that storing it changes nothing more."""
        self.kmers.copy_(unpack_rows(*pack_rows(self.kmers)))


class _RowSums(torch.autograd.Function):
    """Sums of a table's rows, G runs of them: `embedding_bag` with half the time for its gradient.

    A row's gradient is the sum of those of the proteins that have it, so that it is found in the same way.
    """

    @staticmethod
    def forward(ctx: Any, row_M: Tensor, table_RK: Tensor, start_G: Tensor) -> Tensor:
        ctx.save_for_backward(row_M, start_G)
        ctx.rows = len(table_RK)
        return F.embedding_bag(row_M, table_RK, start_G, mode="sum")

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        row_M, start_G = ctx.saved_tensors
        end_G = torch.cat([start_G[1:], start_G.new_tensor([len(row_M)])])
        protein_M = torch.repeat_interleave(torch.arange(len(start_G)).to(start_G), end_G - start_G)
        count_R = torch.bincount(row_M, minlength=ctx.rows)
        start_R = (count_R.cumsum(0) - count_R).to(start_G)
        order_M = torch.sort(row_M, stable=True).indices
        found_RK = F.embedding_bag(protein_M[order_M], gradients[0].contiguous(), start_R, mode="sum")
        return None, found_RK, None


def pack_rows(table_RK: Tensor) -> tuple[Tensor, Tensor]:
    """Rounds a table to 4 bits a number.

    Returns:
        two numbers a byte, the first in the lower half, shape (R, K / 2); the scale of each row, 16 bits.
    """
    table_RK = table_RK.detach().float()
    largest_R = table_RK.abs().amax(dim=1)
    scale_R = (largest_R / _LEVELS).clamp_min(_LEAST_SCALE).half()
    levels_RK = (table_RK / scale_R.float()[:, None]).round().clamp(-_LEVELS, _LEVELS) + _LEVELS + 1
    levels_RK = levels_RK.to(torch.uint8)
    return levels_RK[:, 0::2] | (levels_RK[:, 1::2] << 4), scale_R


def unpack_rows(nibbles_RK: Tensor, scale_R: Tensor) -> Tensor:
    """The table that `pack_rows` rounded, float32."""
    levels_RK = torch.stack([nibbles_RK & 15, nibbles_RK >> 4], dim=2).flatten(1)
    return (levels_RK.float() - (_LEVELS + 1)) * scale_R.float()[:, None]


def embed(
    encoder: FamilyEncoder,
    proteins: Sequence[str],
    *,
    batch_residues: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Embedding of each protein, shape (G, D), in float32.

    Args:
        encoder: the model, already on its device.
        proteins: amino acid sequences of any length.
        batch_residues: residues in a batch, which bounds memory; a longer protein is a batch by itself. None:
            a number that suits the device.
        progress: called with the number of residues done after each batch.

    Raises:
        InputError: an empty protein.
        torch.cuda.OutOfMemoryError: the GPU's memory is too small for one protein.
    """
    device = next(encoder.parameters()).device
    limit = batch_residues or (_CPU_RESIDUES if device.type == "cpu" else _GPU_RESIDUES)
    encoder.eval()

    @torch.inference_mode()
    def begin(some: Sequence[str]) -> Tensor:
        return cast(Tensor, encoder(Kmers.of(some, encoder.config, device)))

    def end(halves: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        return np.concatenate([part_GD.cpu().numpy() for part_GD in halves])

    batches = _batches(proteins, limit)
    found = [np.zeros((0, encoder.config.dim), np.float32)]
    with closing(one_ahead(partial(in_halves, begin), end, batches)) as parts:
        for some, part_GD in zip(batches, parts, strict=True):
            found.append(part_GD)
            if progress:
                progress(sum(map(len, some)))
    return np.concatenate(found)


def _batches(proteins: Sequence[str], limit: int) -> list[Sequence[str]]:
    """Runs of proteins of at most `limit` residues, at least one protein each."""
    cuts, held = [0], 0
    for number, protein in enumerate(proteins):
        if held and held + len(protein) > limit:
            cuts.append(number)
            held = 0
        held += len(protein)
    return [
        proteins[start:end]
        for start, end in zip(cuts, [*cuts[1:], len(proteins)], strict=True)
        if start < end
    ]
