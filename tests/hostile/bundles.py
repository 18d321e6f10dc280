"""Damaged models: settings, labels, figures, cards and tensors, with checksums that are right again."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from glm_annot import annotate, bundle
from tests.hostile.damage import damaged, damaged_json
from tests.hostile.outcomes import require
from tests.support.tiny import made_gff3, tiny


@cache
def _folder() -> Path:
    """A small model and a genome to read with it."""
    folder = Path(mkdtemp(prefix="hostile-"))
    model = tiny(neighbours=True)
    bundle.save(model, folder / "model", metrics={"suite": {"f1": 0.5}}, card="# Tiny\n")
    (folder / "genome.gff3").write_text(made_gff3(6))
    return folder


def damaged_model(rng: random.Random, _: Sequence[bytes]) -> bytes:
    """A model of which a few files are damaged, as a zip file; mostly with checksums that fit."""
    files = {path.name: path.read_bytes() for path in sorted((_folder() / "model").iterdir())}
    config = json.loads(files.pop(bundle.CONFIG))
    name = rng.choice([bundle.CONFIG, *files])
    if name != bundle.CONFIG:
        files[name] = _damaged_file(name, files[name], rng)
    if rng.random() < 0.9:
        config["files"] = {each: hashlib.sha256(content).hexdigest() for each, content in files.items()}
    if name == bundle.CONFIG:
        sums = config["files"]
        config = damaged_json({key: value for key, value in config.items() if key != "files"}, rng)
        if isinstance(config, dict):
            config.setdefault("files", sums)
    text = json.dumps(config).encode()
    if name == bundle.CONFIG and rng.random() < 0.2:
        text = damaged(text, rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for each, content in {**files, bundle.CONFIG: text}.items():
            archive.writestr(zipfile.ZipInfo(each), content)
    return packed.getvalue()


def _damaged_file(name: str, content: bytes, rng: random.Random) -> bytes:
    if name == bundle.METRICS:
        return json.dumps(damaged_json(json.loads(content), rng)).encode()
    if not name.endswith(".safetensors") or rng.random() < 0.2:
        return damaged(content, rng)
    size = 8 + int.from_bytes(content[:8], "little")
    if rng.random() < 0.5:  # the numbers
        return content[:size] + damaged(content[size:], rng)[: len(content) - size].ljust(
            len(content) - size, b"\xff"
        )
    header = json.dumps(damaged_json(json.loads(content[8:size]), rng)).encode()
    return len(header).to_bytes(8, "little") + header + content[size:]


def load_and_predict(path: Path, rng: random.Random) -> None:
    """Load a model, and use it if it was taken.

    Raises:
        GlmAnnotError: refused.
        LostError: it gives numbers that no probability is.
    """
    folder = path.with_name("model")
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    bundle.read_texts(folder)
    model = bundle.load(folder)
    predictions = annotate(_folder() / "genome.gff3", model, batch_size=rng.choice([1, 32])).predictions
    found = [call.confidence for gene in predictions.genes.values() for call in (*gene.ec, *gene.ec_top)]
    require(all(0 <= p <= 1 for p in (*found, *predictions.pairs.values())), "a probability is none")
