"""`glm-annot doctor`: whether everything that the program needs is here and works."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import click

from glm_annot import __version__
from glm_annot.cli.console import visible
from glm_annot.errors import GlmAnnotError
from glm_annot.processes import temporary_folder

# What pip calls a library, and the name that it is imported by.
_NEEDED = {
    "torch": "torch",
    "fair-esm": "esm",
    "biopython": "Bio",
    "gffutils": "gffutils",
    "click": "click",
    "filelock": "filelock",
    "jinja2": "jinja2",
    "numba": "numba",
    "numpy": "numpy",
    "platformdirs": "platformdirs",
    "pyopal": "pyopal",
    "safetensors": "safetensors",
    "tqdm": "tqdm",
}
# Likewise for what single options need, and how to get it.
_OPTIONAL_LIBRARIES = {
    "pyrodigal": "--call-genes",
    "pandas": "data frames",
    "pyarrow": "`glm-annot embed`",
    "anndata": "`glm-annot embed -o genes.h5ad`",
    "dna-features-viewer": "pictures",
    "pycirclize": "circles of whole replicons",
}
_OPTIONAL_PROGRAMS = {
    "diamond": "training; apt install diamond-aligner, or bioconda",
    "mmseqs": "training; apt install mmseqs2, or bioconda",
}
_SELF_TEST_GENES = 8
_CODONS = "GCG TGC GAT GAA TTT GGC CAT ATT AAA CTG AAC CCG CAG CGC AGC ACC GTG TGG TAT"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: it, and what was found.
        mark: 'ok', 'missing', or '-' for what may be missing.
    """

    what: str
    mark: str = "ok"


@click.command(short_help="Checks that everything is here and works.")
def doctor() -> None:
    """Checks the installation: versions, files of the models, devices, optional programs; a small annotation.

    It takes a few seconds and changes nothing. Exit status: 0, or 1 where something that is needed is not
    there.
    """
    missing = 0
    for check in _checks():
        missing += check.mark == "missing"
        click.echo(visible(f"{check.mark:<8} {check.what}"))
    if missing:
        raise GlmAnnotError(f"{missing} of what glm-annot needs {'is' if missing == 1 else 'are'} missing")
    click.echo("Everything that glm-annot needs is here and works.")


def _checks() -> Iterator[Check]:
    python = platform.python_version()
    yield Check(
        f"glm-annot {__version__}, Python {python}, {platform.platform(terse=True)}, {sys.executable}"
    )
    libraries = list(_libraries())
    yield from libraries
    if any(check.mark == "missing" for check in libraries):
        return  # what follows imports them
    yield from _models()
    yield from _devices()
    yield from _optional()
    yield _self_test()


def _libraries() -> Iterator[Check]:
    for package, module in _NEEDED.items():
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken library raises anything
            yield Check(f"{package}: {' '.join(str(error).split())}; pip install {package}", "missing")
        else:
            yield Check(f"{package} {importlib.metadata.version(package)}")


def _models() -> Iterator[Check]:
    from glm_annot.bundle import list_models, verify

    models = list_models()
    if "mini" not in models:
        yield Check("model mini: not in this installation; install glm-annot again", "missing")
    for name, folder in models.items():
        try:
            model = verify(folder)
        except GlmAnnotError as error:
            yield Check(f"model {name}: {error}", "missing")
        else:
            whole = f"{model.files} files with the sha256 that they should have"
            yield Check(f"model {name} {model.version}: {whole}, in {folder}")


def _devices() -> Iterator[Check]:
    import torch

    from glm_annot.processes import cores, free_memory

    free = free_memory()
    memory = "" if free is None else f", {free / 1e9:.1f} GB of memory free"
    yield Check(f"device cpu: {cores()} cores, {torch.get_num_threads()} threads{memory}")
    for number in range(torch.cuda.device_count()):
        yield Check(f"device cuda:{number}: {torch.cuda.get_device_name(number)}")
    if not torch.cuda.is_available():
        yield Check("device cuda: no GPU that PyTorch can use", "-")


def _optional() -> Iterator[Check]:
    for package, purpose in _OPTIONAL_LIBRARIES.items():
        if importlib.util.find_spec(package.replace("-", "_")):
            yield Check(f"{package} {importlib.metadata.version(package)}")
        else:
            yield Check(f"{package}: not here; for {purpose}; pip install {package}", "-")
    for program, purpose in _OPTIONAL_PROGRAMS.items():
        found = shutil.which(program)
        yield Check(f"{program}: {found}") if found else Check(f"{program}: not on PATH; for {purpose}", "-")


def _self_test() -> Check:
    """Annotates a made-up contig, and takes the additions out again."""
    from glm_annot.annotation import annotate
    from glm_annot.io import render, strip

    started = time.monotonic()
    original = _made_up_contig().encode()
    try:
        with temporary_folder() as folder:
            path = folder / "self_test.gff3"
            path.write_bytes(original)
            annotation = annotate(path)
        annotated = render(annotation.genome, annotation.predictions)
    except Exception as error:
        return Check(f"self-test: {type(error).__name__}: {' '.join(str(error).split())}", "missing")
    predicted = len(annotation.predictions.genes)
    if predicted != _SELF_TEST_GENES or annotated == original or strip(annotated) != original:
        return Check(
            f"self-test: {predicted} of {_SELF_TEST_GENES} genes annotated; please report it", "missing"
        )
    taken = time.monotonic() - started
    return Check(f"self-test: {predicted} genes annotated, the original given back; {taken:.1f} s")


def _made_up_contig() -> str:
    """GFF3 of random genes, all on one strand."""
    rng, codons = random.Random(0), _CODONS.split()
    lines, sequence = ["##gff-version 3"], ""
    for number in range(_SELF_TEST_GENES):
        gene = "ATG" + "".join(rng.choices(codons, k=100)) + "TAA"
        extent = f"{len(sequence) + 1}\t{len(sequence) + len(gene)}"
        lines.append(f"made_up\tself_test\tCDS\t{extent}\t.\t+\t0\tID=gene_{number}")
        sequence += gene + "TTGACA"
    return "\n".join([*lines, "##FASTA", ">made_up", sequence]) + "\n"
