"""gLM training: windows, batches, features against scikit-learn, embedding with resume, whole small runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.decomposition import PCA
from torch import Tensor, nn

from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.model.esm import Encoder, embed, fingerprint
from glm_annot.model.glm import GLM, ContextFit, ContextFitConfig, GeneFeatures, GLMOutput
from glm_annot.model.sizes import GLMConfig, PLMConfig
from glm_annot.records import Contig, Gene, Genome, Skip
from glm_annot.training.encoder.embed import embed_corpus
from glm_annot.training.evaluate import suites
from glm_annot.training.glm.batches import TrainingWindows
from glm_annot.training.glm.families import make_families
from glm_annot.training.glm.features import fit_features
from glm_annot.training.glm.lstm import BiLSTM, of_equal_size
from glm_annot.training.glm.masked import (
    evaluate_masked,
    fit_context_fit,
    likeliest_sigma,
    masked_outputs,
    place_auroc,
)
from glm_annot.training.glm.train import keep_glm, load_run, train_glm
from glm_annot.training.glm.windows import (
    GeneOrder,
    Spans,
    WindowReader,
    all_windows,
    cut,
    random_mask,
    without_near,
)
from glm_annot.training.settings import EngineConfig, TrainGLMConfig, label_size
from tests.support.paths import ROOT
from tests.support.tiny import tiny

D = 6
CONFIG = GLMConfig(input_dim=D + 1, dim=16, layers=1, heads=2, ffn=16, labels=D + 1)


def order_of(*lengths: int, near: tuple[int, ...] = ()) -> GeneOrder:
    """Contigs of these numbers of genes, all on the forward strand, each gene with a protein of its own."""
    n = sum(lengths)
    return GeneOrder(
        np.arange(n), np.ones(n, np.int64), np.isin(np.arange(n), near), np.cumsum([0, *lengths])
    )


def pairs(spans: Spans) -> list[tuple[int, int]]:
    return list(zip(spans.first_W.tolist(), spans.length_W.tolist(), strict=True))


def random_embeddings(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)


class TestWindows:
    def test_contigs_are_cut_into_30_and_remainders_of_15(self) -> None:
        spans = cut(order_of(14, 15, 30, 31, 45, 74))
        assert pairs(spans) == [
            (14, 15),
            (29, 30),
            (59, 30),
            (90, 30),
            (120, 15),
            (135, 30),
            (165, 30),
        ]

    def test_overlapping_windows_cover_all_and_end_with_the_contig(self) -> None:
        assert pairs(cut(order_of(61), stride=15)) == [(0, 30), (15, 30), (30, 30), (45, 16)]
        assert pairs(cut(order_of(60), stride=15)) == [(0, 30), (15, 30), (30, 30)]
        assert pairs(cut(order_of(20), stride=15)) == [(0, 20)]

    def test_all_windows_are_every_offset_with_at_least_15_genes(self) -> None:
        found = pairs(all_windows(order_of(40, 14, 17)))
        expected = {(first, min(first + 30, 40) - first) for first in range(26)}
        expected |= {(0, length) for length in range(15, 30)}
        expected |= {(54, 15), (54, 16), (54, 17), (55, 16), (56, 15)}
        assert set(found) == expected
        assert {pair for pair in found if pair[0] < 54 and found.count(pair) > 1} == set()

    def test_inner_genes_are_covered_evenly(self) -> None:
        spans = all_windows(order_of(200))
        cover = np.zeros(200)
        for first, length in pairs(spans):
            cover[first : first + length] += 1
        assert set(cover[15:-15]) == {30.0}
        assert cover.min() >= 15

    def test_windows_mostly_near_the_evaluation_genome_are_left_out(self) -> None:
        order = order_of(30, 30, 30, near=tuple(range(15)) + tuple(range(30, 46)))
        assert pairs(without_near(order, cut(order))) == [(0, 30), (60, 30)]

    def test_a_genome_keeps_only_coding_genes(self) -> None:
        def gene(index: int, strand: int, skip: Skip | None = None) -> Gene:
            return Gene(index, "g", "c", 1, 3, strand, protein="M", skip=skip)

        first = Contig("a", None, False, (gene(0, 1), gene(1, -1, Skip.PSEUDOGENE), gene(2, -1)))
        order = GeneOrder.of_genome(Genome((first, Contig("b", None, False, (gene(3, 1),)))))
        assert order.strand_G.tolist() == [1, -1, 1]
        assert order.first_C.tolist() == [0, 2, 3]
        assert order.protein_G.tolist() == [0, 1, 2]


class TestBatches:
    def test_a_batch_holds_features_in_order_and_zeros(self) -> None:
        order, embeddings = order_of(20, 30), random_embeddings(50)
        batch = WindowReader(order, embeddings, GeneFeatures(CONFIG)).read(cut(order))
        assert batch.real_BT.sum(1).tolist() == [20, 30]
        np.testing.assert_allclose(batch.x_BTE[0, :20, :D], embeddings[:20])
        np.testing.assert_allclose(batch.labels_BTL[1, :, :D], embeddings[20:])
        assert batch.x_BTE[..., D][batch.real_BT].unique().tolist() == [0.5]
        assert not batch.x_BTE[0, 20:].any() and not batch.labels_BTL[0, 20:].any()

    def test_a_flipped_window_is_read_backwards_on_the_other_strand(self) -> None:
        order, embeddings = order_of(20, 30), random_embeddings(50)
        order.strand_G[[0, 3]] = -1
        reader = WindowReader(order, embeddings, GeneFeatures(CONFIG))
        plain, turned = reader.read(cut(order)), reader.read(cut(order), np.array([True, False]))
        assert torch.equal(plain.real_BT, turned.real_BT)
        assert torch.equal(turned.x_BTE[0, :20, :D], plain.x_BTE[0, :20, :D].flip(0))
        assert torch.equal(turned.labels_BTL[0, :20, D], -plain.labels_BTL[0, :20, D].flip(0))
        assert torch.equal(turned.x_BTE[1], plain.x_BTE[1])

    def test_masks_hide_15_percent_and_at_least_one_gene(self) -> None:
        real = torch.arange(30)[None, :] < torch.tensor([30] * 3000 + [2] * 3000)[:, None]
        masked = random_mask(real, torch.Generator().manual_seed(0))
        assert not (masked & ~real).any()
        assert masked.any(1).all()
        share = masked[:3000].float().mean().item()
        assert share == pytest.approx(0.15 + 0.85**30 / 30, abs=0.005)

    def test_equal_generators_give_equal_batches(self) -> None:
        order, embeddings = order_of(90), random_embeddings(90)
        windows = TrainingWindows(WindowReader(order, embeddings, GeneFeatures(CONFIG)), 8)
        one, two, other = (windows.draw(torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
        assert torch.equal(one.x_BTE, two.x_BTE) and torch.equal(one.masked_BT, two.masked_BT)
        assert not torch.equal(one.x_BTE, other.x_BTE)
        assert (one.x_BTE[one.masked_BT] == -1).all()

    def test_labels_are_clipped_in_training_alone(self) -> None:
        order, embeddings = order_of(30), 100 * random_embeddings(30)
        reader = WindowReader(order, embeddings, GeneFeatures(CONFIG))
        drawn = TrainingWindows(reader, 4).draw(torch.Generator().manual_seed(0))
        assert drawn.labels_BTL.abs().max() == 10.0
        assert reader.read(cut(order)).labels_BTL.abs().max() > 10.0

    def test_nothing_to_train_on_is_said(self) -> None:
        order = order_of(30, near=tuple(range(30)))
        with pytest.raises(InputError, match="no contig of the training genomes"):
            TrainingWindows(WindowReader(order, random_embeddings(30), GeneFeatures(CONFIG)), 4)


class TestFeatures:
    def test_components_are_those_of_a_whitening_pca(self) -> None:
        random = np.random.default_rng(0)
        embeddings = (random.normal(size=(400, 4)) @ random.normal(size=(4, D)) + 3).astype(np.float32)
        embeddings += 0.3 * random_embeddings(400)
        config = GLMConfig(input_dim=D + 1, dim=2, layers=1, heads=1, ffn=2, labels=5)
        features = fit_features(config, embeddings, np.repeat(np.arange(400), 2))
        z_scores = (embeddings - embeddings.mean(0)) / embeddings.std(0)
        expected = PCA(4, whiten=True).fit_transform(z_scores)
        strands = torch.ones(400)
        rows = torch.from_numpy(embeddings)
        np.testing.assert_allclose(features.inputs(rows, strands)[:, :D], z_scores, atol=1e-4)
        found = features.labels(rows, strands)[:, :4].numpy()
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-3)

    def test_only_the_proteins_asked_for_count(self) -> None:
        embeddings = random_embeddings(50)
        embeddings[40:] += 1000.0
        features = fit_features(CONFIG, embeddings, np.arange(40))
        np.testing.assert_allclose(features.mean_D, embeddings[:40].mean(0), atol=1e-5)

    def test_embeddings_that_are_no_numbers_are_refused(self) -> None:
        embeddings = random_embeddings(50)
        embeddings[7, 2] = np.nan
        with pytest.raises(InputError, match="numbers that are not finite: embed anew"):
            fit_features(CONFIG, embeddings, np.arange(50))

    def test_a_constant_dimension_gives_no_infinity(self) -> None:
        embeddings = random_embeddings(50)
        embeddings[:, 2] = 7.0
        features = fit_features(CONFIG, embeddings, np.arange(50))
        labels = features.labels(torch.from_numpy(embeddings), torch.ones(50))
        assert labels.isfinite().all() and labels.abs().max() < 100

    def test_label_sizes(self) -> None:
        assert (label_size(1280), label_size(64), label_size(64, 24)) == (100, 65, 25)

    def test_discriminants_find_what_tells_families_apart(self) -> None:
        random = np.random.default_rng(0)
        families = np.repeat(np.arange(200), 5)
        embeddings = random.normal(size=(1000, D)) * 3
        embeddings[:, 1] += 0.5 * embeddings[:, 0]  # the widest direction is noise, shared by two dimensions
        embeddings[:, 4] = random.normal(size=200)[families] + 0.01 * random.normal(size=1000)
        config = GLMConfig(input_dim=D + 1, dim=2, layers=1, heads=1, ffn=2, labels=2)
        fitted = [
            fit_features(config, embeddings, np.arange(1000), families_N=which) for which in (families, None)
        ]
        axes = [features.pca_components_LD[0].abs().argmax().item() for features in fitted]
        assert axes[0] == 4 and axes[1] in (0, 1)
        labels = fitted[0].labels(torch.from_numpy(embeddings), torch.ones(1000))[:, 0]
        assert labels.std().item() == pytest.approx(1.0, rel=0.01)

    def test_discriminants_need_two_of_a_family(self) -> None:
        with pytest.raises(InputError, match="no two proteins"):
            fit_features(CONFIG, random_embeddings(40), np.arange(40), families_N=np.arange(40))

    def test_one_protein_is_too_few(self) -> None:
        with pytest.raises(InputError, match="fewer than two distinct proteins"):
            fit_features(CONFIG, random_embeddings(3), np.array([1, 1, 1]))


class Oracle(nn.Module):
    """Knows labels up to some noise, favours a prediction that is far off, and says 0 of a lone gene."""

    def __init__(self, labels_GL: Tensor, noise: float) -> None:
        super().__init__()
        self.anything = nn.Parameter(torch.zeros(1))
        self.labels_GL, self.noise = labels_GL, noise
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x_BTE: Tensor, real_BT: Tensor) -> GLMOutput:
        """Tells which genes are there by the unmasked ones: windows hold consecutive genes."""
        if x_BTE.shape[1] == 1:
            return GLMOutput(torch.zeros(len(x_BTE), 1, 2, D + 1), torch.zeros(len(x_BTE), 1, 2))
        identity_BT = (x_BTE[:, :, None, :D] - self.labels_GL[:, :D]).abs().sum(-1).argmin(-1)
        offset_BT = identity_BT - torch.arange(x_BTE.shape[1])
        first_B = offset_BT.masked_fill((x_BTE[..., 0] == -1) | ~real_BT, 10**6).amin(1)
        gene_BT = (first_B[:, None] + torch.arange(x_BTE.shape[1])).clamp_max(len(self.labels_GL) - 1)
        labels_BTL = self.labels_GL[gene_BT]
        good = labels_BTL + self.noise * torch.randn(labels_BTL.shape, generator=self.generator)
        logits = torch.tensor([3.0, 0.0]).expand(*real_BT.shape, 2)
        return GLMOutput(torch.stack([labels_BTL + 50.0, good], dim=2), logits)


class Echo(nn.Module):
    """Predicts the input that it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.anything = nn.Parameter(torch.zeros(1))

    def forward(self, x_BTE: Tensor, real_BT: Tensor) -> GLMOutput:
        return GLMOutput(x_BTE[:, :, None], torch.zeros(*real_BT.shape, 1))


class TestMaskedGenes:
    def reader_and_oracle(self, n: int, noise: float) -> tuple[WindowReader, Oracle]:
        order, embeddings = order_of(n), random_embeddings(n)
        reader = WindowReader(order, embeddings, GeneFeatures(CONFIG))
        return reader, Oracle(reader.read(Spans(np.arange(n), np.ones(n, np.int64))).labels_BTL[:, 0], noise)

    def test_metrics_of_a_model_that_knows_but_favours_the_wrong(self) -> None:
        reader, oracle = self.reader_and_oracle(300, noise=0.0)
        metrics = evaluate_masked(oracle, reader, cut(reader.order))
        assert metrics["pseudo_accuracy"] == 1.0
        assert metrics["absolute_accuracy"] < 0.1
        assert metrics["confident_share"] == 1.0
        assert metrics["regression"] == 0.0
        assert metrics["masked_genes"] == pytest.approx(300, rel=0.15)  # each about once
        assert metrics["loss"] == pytest.approx(1e-4 * metrics["likelihood"])
        assert evaluate_masked(oracle, reader, cut(reader.order)) == metrics

    def test_the_models_own_mode_comes_back(self) -> None:
        reader, oracle = self.reader_and_oracle(60, noise=0.0)
        oracle.train()
        evaluate_masked(oracle, reader, cut(reader.order))
        assert oracle.training

    def test_each_gene_is_looked_at_once_and_masked(self) -> None:
        order, embeddings = order_of(100, 20, 47), random_embeddings(167)
        reader = WindowReader(order, embeddings, GeneFeatures(CONFIG))
        output, labels = masked_outputs(Echo(), reader)
        assert sorted(labels[0, :, 0].tolist()) == pytest.approx(sorted(embeddings[:, 0].tolist()))
        assert (output.predictions_BTPL == -1).all()

    def test_sigma_is_the_noise_and_quantiles_are_those_of_the_genes(self) -> None:
        reader, oracle = self.reader_and_oracle(1500, noise=0.7)
        fit = fit_context_fit(oracle, reader, ContextFitConfig(quantiles=5))
        assert fit.sigma.item() == pytest.approx(0.7, rel=0.03)
        noise = np.random.default_rng(0).normal(size=oracle.labels_GL.shape)
        squares = ((oracle.labels_GL.numpy() / 0.7) ** 2).sum(1) - (noise**2).sum(1)
        expected = np.median(squares / 2) + np.log(np.exp(0) / (1 + np.exp(3)))
        assert fit.quantiles_Q[2].item() == pytest.approx(expected, abs=0.5)
        assert (fit.quantiles_Q.diff() > 0).all()

    def test_who_knows_the_neighbours_tells_places(self) -> None:
        reader, oracle = self.reader_and_oracle(300, noise=0.5)
        assert place_auroc(oracle, fit_context_fit(oracle, reader, ContextFitConfig()), reader) > 0.95
        assert place_auroc(Echo(), ContextFit(ContextFitConfig()), reader) == pytest.approx(0.5)

    def test_sigma_is_the_likeliest(self) -> None:
        generator = torch.Generator().manual_seed(1)
        labels = torch.randn(1, 300, D, generator=generator)
        noise = torch.randn(1, 300, 2, D, generator=generator) * torch.tensor([0.5, 1.5])[:, None]
        logits = torch.randn(1, 300, 2, generator=generator)
        output = GLMOutput(labels[:, :, None] + noise, logits)

        def surprise(sigma: float) -> float:
            fit = ContextFit(ContextFitConfig())
            fit.sigma.fill_(sigma)
            return -fit.log_likelihood(output, labels).sum().item()

        best = minimize_scalar(surprise, bounds=(0.1, 3.0), method="bounded").x
        assert likeliest_sigma(output, labels) == pytest.approx(best, rel=1e-3)


class TestBaseline:
    def test_it_is_of_equal_size(self) -> None:
        for config in (GLMConfig(321, 256, 6, 4, 1024), GLMConfig(65, 64, 3, 2, 128, labels=65)):
            sizes = [
                sum(p.numel() for p in network.parameters())
                for network in (GLM(config), BiLSTM(of_equal_size(config)))
            ]
            assert sizes[1] == pytest.approx(sizes[0], rel=0.02)

    def test_padding_changes_nothing_and_genes_see_both_sides(self) -> None:
        network = BiLSTM(of_equal_size(CONFIG)).eval()
        x, real = torch.randn(2, 9, D + 1), torch.arange(9)[None, :] < torch.tensor([[9], [4]])
        with torch.no_grad():
            padded, alone = (
                network(x, real).predictions_BTPL,
                network(x[1:, :4], real[1:, :4]).predictions_BTPL,
            )
            torch.testing.assert_close(padded[1:, :4], alone)
            x[0, 4] += 1.0
            moved = (network(x, real).predictions_BTPL[0] != padded[0]).flatten(1).any(1)
        assert moved.all()


def small_encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(PLMConfig(layers=1, dim=8, heads=2)).eval()


class TestEmbedding:
    PROTEINS = ("MKV", "MAAAKL", "MWWQ", "MLLLLLLK", "MT")

    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Path:
        pq.write_table(pa.table({"sequence": list(self.PROTEINS)}), tmp_path / "proteins.parquet")
        return tmp_path

    def test_rows_are_the_proteins_embeddings(self, corpus: Path) -> None:
        seen: list[tuple[int, int]] = []
        path = embed_corpus(
            corpus,
            small_encoder(),
            precision="fp32",
            shard=2,
            progress=lambda *x: seen.append(x),
            report=print,
        )
        found = np.load(path)
        assert found.dtype == np.float16
        np.testing.assert_allclose(found, embed(small_encoder(), self.PROTEINS, precision="fp32"), atol=2e-3)
        residues = sum(map(len, self.PROTEINS))
        assert seen[-1] == (residues, residues)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    def test_an_interrupted_run_goes_on(self, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[list[str]] = []

        def failing(encoder: Encoder, proteins: list[str], **options: object) -> np.ndarray:
            calls.append(proteins)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return embed(encoder, proteins, precision="fp32")

        monkeypatch.setattr("glm_annot.training.encoder.embed.embed", failing)
        with pytest.raises(KeyboardInterrupt):
            embed_corpus(corpus, small_encoder(), shard=2, report=print)
        assert not (corpus / "embeddings.npy").exists()
        embed_corpus(corpus, small_encoder(), shard=2, report=print)
        assert [call[0] for call in calls] == ["MKV", "MWWQ", "MWWQ", "MT"]
        found = np.load(corpus / "embeddings.npy")
        np.testing.assert_allclose(found, embed(small_encoder(), self.PROTEINS, precision="fp32"), atol=2e-3)
        embed_corpus(corpus, small_encoder(), shard=2, report=print)
        assert len(calls) == 4  # finished work is not done again

    def test_another_encoder_or_other_proteins_are_refused(self, corpus: Path) -> None:
        embed_corpus(corpus, small_encoder(), report=print)
        with pytest.raises(InputError, match="another encoder"):
            embed_corpus(corpus, small_encoder(seed=1), report=print)
        pq.write_table(pa.table({"sequence": ["MK"]}), corpus / "proteins.parquet")
        with pytest.raises(InputError, match="other proteins"):
            embed_corpus(corpus, small_encoder(), report=print)

    def test_precisions_do_not_mix(self, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A GPU's shards, then a CPU's: what 'auto' means is not the same on both."""
        monkeypatch.setattr("glm_annot.training.encoder.embed.precision_of", lambda *_: "bf16")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("glm_annot.training.encoder.embed._join", killed)
            embed_corpus(corpus, small_encoder(), shard=2, report=print)
        monkeypatch.undo()
        with pytest.raises(InputError, match="embeddings are in bf16, not fp32; delete"):
            embed_corpus(corpus, small_encoder(), shard=2, precision="fp32", report=print)
        embed_corpus(corpus, small_encoder(), shard=2, precision="bf16", report=print)
        with pytest.raises(InputError, match="in bf16, not fp32"):
            embed_corpus(corpus, small_encoder(), precision="fp32", report=print)

    def test_embeddings_older_than_the_note_of_their_precision(self, corpus: Path) -> None:
        """Whole ones are read; to a part of some nothing is added."""
        path = embed_corpus(corpus, small_encoder(), report=print)
        record = json.loads((corpus / "embeddings.json").read_text())
        del record["precision"]
        (corpus / "embeddings.json").write_text(json.dumps(record))
        assert embed_corpus(corpus, small_encoder(), report=print) == path
        path.rename(corpus / "embeddings.0-5.npy")
        with pytest.raises(InputError, match="in an unknown precision"):
            embed_corpus(corpus, small_encoder(), report=print)

    def test_processes_take_turns(self, corpus: Path) -> None:
        """Two processes under torchrun, of which each embeds shards that the other leaves out."""
        script = corpus / "script.py"
        script.write_text(
            "import sys\n"
            "from pathlib import Path\n"
            "from tests.training.glm.test_train import small_encoder\n"
            "from glm_annot.training.encoder import embed\n"
            "seen = []\n"
            "embed.embed_corpus(Path(sys.argv[1]), small_encoder(), precision='fp32', shard=2,\n"
            "    progress=lambda *x: seen.append(x), report=print)\n"
            "sys.stdout.write(f'residues {seen[-1]}\\n')  # at one go, so that lines do not mix\n",
            encoding="ascii",
        )
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*torchrun, str(script), str(corpus)],
            **{"env": environment, "capture_output": True, "text": True, "check": False},
        )
        assert done.returncode == 0, done.stderr
        # Shards of 3 + 6, 4 + 8 and 2 residues: the first process has the first and the third.
        assert sorted(done.stdout.splitlines()) == ["residues (11, 11)", "residues (12, 12)"]
        found = np.load(corpus / "embeddings.npy")
        np.testing.assert_allclose(found, embed(small_encoder(), self.PROTEINS, precision="fp32"), atol=2e-3)
        assert sorted(path.name for path in corpus.glob("embeddings.*")) == [
            "embeddings.json",
            "embeddings.npy",
        ]

    def test_a_gpu_without_enough_memory_gives_way_to_the_cpu(
        self, corpus: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoder, moves, said, precisions = small_encoder(), [], [], []
        monkeypatch.setattr("glm_annot.training.encoder.embed.precision_of", lambda *_: "bf16")

        def small_gpu(encoder: Encoder, proteins: list[str], **options: object) -> np.ndarray:
            precisions.append(options["precision"])
            if not moves:
                raise torch.cuda.OutOfMemoryError
            return embed(encoder, proteins, precision="fp32")

        monkeypatch.setattr("glm_annot.training.encoder.embed.embed", small_gpu)
        monkeypatch.setattr(encoder, "to", moves.append)
        path = embed_corpus(corpus, encoder, shard=2, report=said.append)
        assert moves == ["cpu"] and len(said) == 1 and "continuing on the CPU" in said[0]
        assert set(precisions) == {"bf16"}  # 'auto' might mean another there
        np.testing.assert_allclose(np.load(path), embed(encoder, self.PROTEINS, precision="fp32"), atol=2e-3)


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


FAMILIES = 20
SMALL = TrainGLMConfig(dim=32, layers=2, heads=2, ffn=64, dropout=0.0)


@pytest.fixture(scope="module")
def made_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Genomes whose genes follow in one order of 20 families, so that context tells the masked gene."""
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(0)
    lengths = {0: 400, 1: 120, 2: 20, 3: 150}  # contigs; 3 is of the validation genome
    contig = np.repeat(list(lengths), list(lengths.values()))
    index = np.concatenate([np.arange(n) for n in lengths.values()])
    n = len(contig)
    families = random.normal(size=(FAMILIES, 16))
    embeddings = families[index % FAMILIES] + 0.1 * random.normal(size=(n, 16))
    np.save(folder / "embeddings.npy", embeddings.astype(np.float16))
    tables = {
        "genomes": {"genome": [7, 8], "split": ["train", "valid"]},
        "contigs": {"contig": [0, 1, 2, 3], "genome": [7, 7, 7, 8]},
        "genes": {"contig": contig, "index": index, "protein": np.arange(n), "strand": np.ones(n, np.int8)},
        "proteins": {"near_heldout": (contig == 1) & (index < 100), "cluster": index % FAMILIES},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def optimiser(steps: int) -> EngineConfig:
    return EngineConfig(learning_rate=3e-3, warmup_steps=5, steps=steps, micro_batch=16, validate_every=6)


class TestRuns:
    def test_splits_are_read_apart(self, made_corpus: Path) -> None:
        train, valid = GeneOrder.read(made_corpus, "train"), GeneOrder.read(made_corpus, "valid")
        assert train.first_C.tolist() == [0, 400, 520, 540]
        assert valid.protein_G.tolist() == list(range(540, 690))
        assert train.near_G.sum() == 100
        with pytest.raises(InputError, match="no genes in the split 'test'"):
            GeneOrder.read(made_corpus, "test")

    def test_it_learns_the_order_of_genes(self, made_corpus: Path, tmp_path: Path) -> None:
        metrics = train_glm(made_corpus, tmp_path, SMALL, optimiser(60))
        assert metrics["pseudo_accuracy"] > 5 * metrics["chance_accuracy"]
        run = load_run(tmp_path)
        assert run.metrics == metrics
        reader = WindowReader(
            GeneOrder.read(made_corpus, "valid"), np.load(made_corpus / "embeddings.npy"), run.features
        )
        assert evaluate_masked(run.network, reader, cut(reader.order)) == pytest.approx(metrics)
        assert 0.05 < run.context_fit.sigma.item() < 2.0
        losses = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        best = json.loads((tmp_path / "best.json").read_text())
        assert best["loss"] == min(line["valid/loss"] for line in losses if "valid/loss" in line)

    def test_a_loss_that_is_no_number_is_not_the_best(
        self, made_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        losses = iter([float("nan"), 0.5, 0.7, 0.6])  # two validations, one at the end, one of all windows
        measured = {"loss": 0.0}
        monkeypatch.setattr(
            "glm_annot.training.glm.train.evaluate_masked",
            lambda *_, **__: {**measured, "loss": next(losses)},
        )
        train_glm(made_corpus, tmp_path, SMALL, optimiser(12))
        assert json.loads((tmp_path / "best.json").read_text()) == {"step": 12, "loss": 0.5}

    def test_training_that_diverged_is_said(
        self, made_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "glm_annot.training.glm.train.evaluate_masked", lambda *_, **__: {"loss": float("nan")}
        )
        for _ in range(2):  # resumed, too
            with pytest.raises(GlmAnnotError, match=r"training diverged: no validation had a finite loss"):
                train_glm(made_corpus, tmp_path, SMALL, optimiser(6))

    def test_it_learns_families(self, made_corpus: Path, tmp_path: Path) -> None:
        """By their own loss alone, some strands kept, relatives as stand-ins; it resumes."""
        corpus = shutil.copytree(made_corpus, tmp_path / "corpus")
        make_families(corpus, np.load(corpus / "embeddings.npy"))
        config = replace(
            SMALL, norm="pre", family_weight=1.0, paper_weight=0.0, keep_strand=0.5, substituted=0.3
        )
        metrics = train_glm(corpus, tmp_path / "whole", config, optimiser(60))
        assert metrics["family_accuracy_4"] > metrics["family_accuracy"] > 0.2
        for steps in (20, 60):
            train_glm(corpus, tmp_path / "parts", config, optimiser(steps))
        whole, parts = (load_run(tmp_path / name) for name in ("whole", "parts"))
        assert whole.family_head is not None and parts.family_head is not None
        for name, tensor in whole.family_head.state_dict().items():
            assert torch.equal(tensor, parts.family_head.state_dict()[name]), name

    def test_resuming_changes_nothing(self, made_corpus: Path, tmp_path: Path) -> None:
        train_glm(made_corpus, tmp_path / "whole", SMALL, optimiser(12))
        for steps in (6, 12):
            train_glm(made_corpus, tmp_path / "parts", SMALL, optimiser(steps))
        whole, parts = (load_run(tmp_path / name) for name in ("whole", "parts"))
        assert whole.metrics == parts.metrics
        for name, tensor in whole.network.state_dict().items():
            assert torch.equal(tensor, parts.network.state_dict()[name]), name

    def test_a_run_goes_on_with_the_embeddings_that_it_began_with(
        self, made_corpus: Path, tmp_path: Path
    ) -> None:
        corpus = shutil.copytree(made_corpus, tmp_path / "corpus")
        for encoder, steps in (("one", 3), ("one", 6)):
            (corpus / "embeddings.json").write_text(json.dumps({"encoder": encoder}))
            train_glm(corpus, tmp_path / "run", SMALL, optimiser(steps))
        assert load_run(tmp_path / "run").encoder == "one"
        (corpus / "embeddings.json").write_text(json.dumps({"encoder": "another"}))
        with pytest.raises(InputError, match="was begun on embeddings by another encoder"):
            train_glm(corpus, tmp_path / "run", SMALL, optimiser(9))

    def test_a_kept_glm_wants_its_own_encoders_embeddings(self, made_corpus: Path, tmp_path: Path) -> None:
        corpus = shutil.copytree(made_corpus, tmp_path / "corpus")
        model = tiny()  # as wide as the embeddings
        (corpus / "embeddings.json").write_text(json.dumps({"encoder": fingerprint(model.encoder)}))
        keep_glm(corpus, tmp_path / "run", model)
        assert load_run(tmp_path / "run").encoder == fingerprint(model.encoder)
        (corpus / "embeddings.json").write_text(json.dumps({"encoder": "another"}))
        with pytest.raises(InputError, match="is by another encoder"):
            keep_glm(corpus, tmp_path / "run", model)

    def test_runs_older_than_the_note_of_their_encoder_are_read(
        self, made_corpus: Path, tmp_path: Path
    ) -> None:
        train_glm(made_corpus, tmp_path, SMALL, optimiser(1))
        record = json.loads((tmp_path / "glm.json").read_text())
        del record["encoder"]
        (tmp_path / "glm.json").write_text(json.dumps(record))
        assert load_run(tmp_path).encoder == ""

    def test_the_baseline_trains_too(self, made_corpus: Path, tmp_path: Path) -> None:
        config = TrainGLMConfig(backbone="lstm", dim=16, layers=1, heads=2, ffn=32)
        metrics = train_glm(made_corpus, tmp_path, config, optimiser(3))
        assert isinstance(load_run(tmp_path).network, BiLSTM)
        assert np.isfinite(metrics["loss"])

    def test_missing_embeddings_and_runs_are_said(self, made_corpus: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="glm-train embed"):
            train_glm(tmp_path, tmp_path / "run", SMALL, optimiser(1))
        with pytest.raises(InputError, match="no finished gLM training"):
            load_run(tmp_path)
        with pytest.raises(InputError, match=r"holds no genomes\.parquet"):
            suites.of_corpus(tiny(), tmp_path, command="")
        with pytest.raises(ValueError, match="backbone"):
            TrainGLMConfig(backbone="gru")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="directions"):
            TrainGLMConfig(directions="random")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="masked"):
            TrainGLMConfig(masked=1.0)

    def test_it_learns_discriminant_labels_too(self, made_corpus: Path, tmp_path: Path) -> None:
        config = replace(SMALL, components=8, directions="discriminant", masked=0.3)
        metrics = train_glm(made_corpus, tmp_path, config, optimiser(60))
        assert metrics["pseudo_accuracy"] > 5 * metrics["chance_accuracy"]
        assert load_run(tmp_path).network.config.labels == 9
