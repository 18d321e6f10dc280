"""The protein language model: ESM2, run without padding, one mean embedding per protein.

`Encoder` is fair-esm's own `ESM2` with another forward pass, so that names, shapes and initial values are
those of the official checkpoints by construction. Its input is a *pack*: proteins laid end to end, equal
lengths side by side. Linear layers see one long matrix without padding, attention sees one batch for each
distinct length.

This is the only file that imports fair-esm. Axes: N tokens of a pack, S proteins of equal length, T tokens
of one protein (residues plus begin and end), H heads, K head width, D embedding width, G proteins.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import esm
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glm_annot.errors import InputError
from glm_annot.model.devices import in_halves, one_ahead, sent
from glm_annot.model.sizes import PLMConfig

ALPHABET = esm.data.Alphabet.from_architecture("ESM-1b")  # ESM2 kept the alphabet of ESM-1b
N_TOKENS = len(ALPHABET)
MASK = ALPHABET.mask_idx
BEGIN, END = ALPHABET.cls_idx, ALPHABET.eos_idx
STANDARD_RESIDUES = "LAGVSERTIDPKQNFYMHWC"

# ESM2 was trained with 12 % of its tokens blanked (15 % chosen, 80 % of those masked) and rescales for it.
TRAINING_BLANKED = 0.15 * 0.8
_FIRST_FP16, _FIRST_BF16 = (7, 0), (8, 0)  # compute capability from which on GPUs are built to multiply these
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("auto", *DTYPES)
_CPU_TOKENS = 2_048  # tokens a pack; beyond this matrix products grow no faster on CPUs
_GPU_TOKENS = 32_768  # a GPU wants more at once; with the largest ESM2, of 15B, activations take about 4 GB
_UNKNOWN = ALPHABET.get_idx("X")


def _byte_table() -> npt.NDArray[np.int64]:
    """ASCII code -> token; lower case as upper case, what ESM2 does not know (J, *, -) as X."""
    table = np.full(256, _UNKNOWN, dtype=np.int64)
    for letter in STANDARD_RESIDUES + "XBUZO":
        table[ord(letter)] = table[ord(letter.lower())] = ALPHABET.get_idx(letter)
    return table


_TOKEN_OF_BYTE = _byte_table()


def tokenize(protein: str) -> npt.NDArray[np.int64]:
    """Token numbers of a protein's residues, shape (residues,), without begin and end.

    Raises:
        InputError: the protein is empty or not ASCII.
    """
    try:
        letters = np.frombuffer(protein.encode("ascii"), dtype=np.uint8)
    except UnicodeEncodeError as error:
        raise InputError(f"a protein holds the character {protein[error.start]!r}") from error
    if not letters.size:
        raise InputError("a protein is empty")
    return _TOKEN_OF_BYTE[letters]


@dataclass(frozen=True, slots=True)
class Pack:
    """Proteins laid end to end.

    Attributes:
        tokens_N: token numbers, begin and end tokens included.
        groups: (number of proteins, tokens of each) in order; the products sum to N.
    """

    tokens_N: Tensor
    groups: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, proteins: Sequence[npt.NDArray[np.int64]], device: torch.device | str = "cpu") -> Pack:
        """Packs token arrays (residues only), which must be ordered by length."""
        flat: list[npt.NDArray[np.int64]] = []
        groups: list[tuple[int, int]] = []
        begin, end = np.array([BEGIN]), np.array([END])
        for residues in proteins:
            flat += (begin, residues, end)
            length = len(residues) + 2
            if groups and groups[-1][1] == length:
                groups[-1] = (groups[-1][0] + 1, length)
            else:
                groups.append((1, length))
        return cls(sent(torch.from_numpy(np.concatenate(flat)), device), tuple(groups))

    @property
    def lengths_S(self) -> Tensor:
        """Tokens of each protein, in order."""
        counts, lengths = zip(*self.groups, strict=True)
        lengths_S = torch.repeat_interleave(torch.tensor(lengths), torch.tensor(counts))
        return sent(lengths_S, self.tokens_N.device)


class Encoder(esm.ESM2):  # type: ignore[misc]  # fair-esm carries no types
    """ESM2 with a forward pass over packs. State-dict names are fair-esm's; the contact head is left out."""

    def __init__(self, config: PLMConfig) -> None:
        super().__init__(num_layers=config.layers, embed_dim=config.dim, attention_heads=config.heads)
        self.config = config
        del self.contact_head

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As torch's; assigned weights stay tied as fair-esm ties them."""
        keys = super().load_state_dict(state_dict, strict, assign)
        self.lm_head.weight = self.embed_tokens.weight
        return keys

    def forward(self, pack: Pack) -> Tensor:
        """Last-layer representations after the final layer norm, shape (N, D), float32.

        Equal to fair-esm's `ESM2.forward` of each protein alone, to rounding.
        """
        x_ND = self._embed(pack)
        rotary = _RotaryTables(self.config.dim // self.config.heads, pack)
        for layer in self.layers:
            x_ND = x_ND + _attention(layer.self_attn, layer.self_attn_layer_norm(x_ND), pack, rotary)
            x_ND = x_ND + layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x_ND))))
        return cast(Tensor, self.emb_layer_norm_after(x_ND)).float()

    def _embed(self, pack: Pack) -> Tensor:
        """Token embeddings (N, D): masked tokens blank, the rest rescaled for the share of blanks."""
        x_ND = cast(Tensor, self.embed_tokens(pack.tokens_N))
        blank_N, lengths_S = pack.tokens_N == MASK, pack.lengths_S
        protein_S = torch.arange(len(lengths_S), device=x_ND.device)
        protein_N = torch.repeat_interleave(protein_S, lengths_S, output_size=len(blank_N))
        blanks_S = torch.zeros(len(lengths_S), device=x_ND.device).index_add_(0, protein_N, blank_N.float())
        scale_S = (1 - TRAINING_BLANKED) / (1 - blanks_S / lengths_S)
        return x_ND.masked_fill(blank_N[:, None], 0.0) * scale_S[protein_N, None]

    def means(self, x_ND: Tensor, pack: Pack) -> Tensor:
        """Mean over the residues of each protein, begin and end left out: (proteins, D)."""
        blocks = _blocks(x_ND, pack)
        return torch.cat([block_STD[:, 1:-1].mean(dim=1) for block_STD in blocks])


def _blocks(x_ND: Tensor, pack: Pack) -> Iterator[Tensor]:
    """Views (S, T, ...) of a packed tensor, one for each group of equal length."""
    sizes = [count * length for count, length in pack.groups]
    for block, (count, length) in zip(torch.split_with_sizes(x_ND, sizes), pack.groups, strict=True):
        yield block.view(count, length, *x_ND.shape[1:])


class _RotaryTables:
    """Rotary position angles (Su et al. 2021; as in fair-esm, halves are paired), float32."""

    def __init__(self, width: int, pack: Pack) -> None:
        longest = max(length for _, length in pack.groups)
        device = pack.tokens_N.device
        frequency = 1.0 / (10000 ** (torch.arange(0, width, 2, device=device).float() / width))
        angle_TK = torch.outer(torch.arange(longest, device=device).float(), frequency).repeat(1, 2)
        positions = [torch.arange(length).repeat(count) for count, length in pack.groups]
        position_N = sent(torch.cat(positions), device)
        self.cos_N1K = angle_TK.cos()[position_N, None]
        self.sin_N1K = angle_TK.sin()[position_N, None]

    def rotate(self, x_NHK: Tensor, dtype: torch.dtype) -> Tensor:
        """Turns queries or keys; computed in float32 because bfloat16 cannot tell far positions apart."""
        x_NHK = x_NHK.float()
        first, second = x_NHK.chunk(2, dim=-1)
        return (x_NHK * self.cos_N1K + torch.cat((-second, first), dim=-1) * self.sin_N1K).to(dtype)


def _attention(attention: nn.Module, x_ND: Tensor, pack: Pack, rotary: _RotaryTables) -> Tensor:
    """Self-attention within each protein of the pack: (N, D)."""
    heads = cast(int, attention.num_heads)
    q, k, v = (getattr(attention, f"{name}_proj")(x_ND).unflatten(-1, (heads, -1)) for name in "qkv")
    q, k = rotary.rotate(q, v.dtype), rotary.rotate(k, v.dtype)
    outputs = [
        F.scaled_dot_product_attention(q_STHK.transpose(1, 2), k_STHK.transpose(1, 2), v_STHK.transpose(1, 2))
        .transpose(1, 2)
        .flatten(0, 1)
        for q_STHK, k_STHK, v_STHK in zip(_blocks(q, pack), _blocks(k, pack), _blocks(v, pack), strict=True)
    ]
    return cast(Tensor, cast(nn.Linear, attention.out_proj)(torch.cat(outputs).flatten(1)))


def fingerprint(part: nn.Module) -> str:
    """sha256 of the configuration and weights of an encoder, or another part, the same on every device."""
    digest = hashlib.sha256(repr(part.config).encode())
    for name, tensor in sorted(part.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def precision_on(device: torch.device, precision: str = "auto") -> str:
    """What a word of `PRECISIONS` means on a device: 'fp32', 'bf16' or 'fp16'.

    'auto' is the first of bfloat16, float16 and float32 that the hardware is built for.

    Raises:
        ValueError: another word for precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        return "bf16" if capability >= _FIRST_BF16 else "fp16" if capability >= _FIRST_FP16 else "fp32"
    # AVX-512 alone multiplies bfloat16 no faster than float32; AMX does.
    return "bf16" if device.type == "cpu" and _has_amx() else "fp32"


def _has_amx() -> bool:
    tells = getattr(torch.cpu, "_is_amx_tile_supported", None)  # torch 2.4 does not
    return tells is not None and tells()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A protein, or an overlapping part of a long one, and the protein's place among those asked for."""

    protein: int
    residues: npt.NDArray[np.int64]


def _pieces(proteins: Sequence[str], config: PLMConfig) -> list[_Piece]:
    """All proteins as pieces of at most `max_residues`, ordered by length."""
    pieces: list[_Piece] = []
    stride = config.max_residues - config.overlap
    for number, protein in enumerate(proteins):
        residues = tokenize(protein)
        last = max(0, len(residues) - config.overlap)
        starts = range(0, max(last, 1), stride) if len(residues) > config.max_residues else (0,)
        pieces += (_Piece(number, residues[start : start + config.max_residues]) for start in starts)
    return sorted(pieces, key=lambda piece: len(piece.residues))


def _packs(pieces: Sequence[_Piece], tokens: int, multiple: int) -> list[list[_Piece]]:
    """Runs of pieces of about equally many tokens, at most about `tokens`, and as many as `multiple` divides.

    There are fewer where the pieces are too few or too unequal.
    """
    sizes = np.array([len(piece.residues) + 2 for piece in pieces])
    count = multiple * math.ceil(sizes.sum() / tokens / multiple)
    middles = np.cumsum(sizes) - sizes / 2
    pack_of = (middles * count // max(sizes.sum(), 1)).astype(np.int64)
    runs = groupby(zip(pack_of.tolist(), pieces, strict=True), key=itemgetter(0))
    return [[piece for _, piece in run] for _, run in runs]


def embed(
    encoder: Encoder,
    proteins: Sequence[str],
    *,
    batch_tokens: int | None = None,
    precision: str = "auto",
    progress: Callable[[int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Mean embedding of each protein over its residues, shape (G, D).

    Args:
        encoder: the model, already on its device.
        proteins: amino acid sequences of any length (see `PLMConfig.max_residues`).
        batch_tokens: tokens a pack, but for a part of a protein; bounds memory. By default what suits the
            device.
        precision: one of `PRECISIONS`, see `precision_on`; the residual stream stays float32 in any case.
        progress: called with the number of residues done after each pack.

    Raises:
        InputError: an empty protein.
        torch.cuda.OutOfMemoryError: one piece of a protein is too large for the GPU.
    """
    device = next(encoder.parameters()).device
    sums_GD = np.zeros((len(proteins), encoder.config.dim), dtype=np.float32)
    weights_G = np.zeros((len(proteins), 1), dtype=np.float32)
    dtype = DTYPES[precision_on(device, precision)]
    encoder.eval()

    @torch.inference_mode()
    def begin(run: Sequence[_Piece]) -> Tensor:
        pack = Pack.of([piece.residues for piece in run], device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            return encoder.means(encoder(pack), pack).float()

    def end(halves: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        return np.concatenate([means_SD.cpu().numpy() for means_SD in halves])

    on_cpu = device.type == "cpu"
    cores = torch.get_num_threads() if on_cpu else 1
    tokens = batch_tokens or (_CPU_TOKENS if on_cpu else _GPU_TOKENS)
    packs = _packs(_pieces(proteins, encoder.config), tokens, cores)
    found = _side_by_side if on_cpu else one_ahead
    with closing(found(partial(in_halves, begin), end, packs)) as means:
        for run, means_SD in zip(packs, means, strict=True):
            lengths = np.array([[len(piece.residues)] for piece in run], dtype=np.float32)
            rows = [piece.protein for piece in run]
            np.add.at(sums_GD, rows, means_SD * lengths)
            np.add.at(weights_G, rows, lengths)
            if progress:
                progress(int(lengths.sum()))
    return sums_GD / weights_G if len(proteins) else sums_GD


def _side_by_side(
    begin: Callable[[Sequence[_Piece]], Sequence[Tensor]],
    end: Callable[[Sequence[Tensor]], npt.NDArray[np.float32]],
    packs: Sequence[Sequence[_Piece]],
) -> Generator[npt.NDArray[np.float32], None, None]:
    """The result of each pack, one core each where there are enough: faster than all cores on one pack."""
    threads = torch.get_num_threads()
    workers = min(threads, len(packs))
    if workers <= 1:
        yield from (end(begin(run)) for run in packs)
        return
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,))
    try:
        yield from pool.map(lambda run: end(begin(run)), packs)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
