"""Packaging of glm-annot. The folders `training/` and `plugins/` install under the one name `glm_annot`."""

import gzip
import os
import re
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "glm_annot/__init__.py").read_text("utf-8"), re.M)[1]
FOLDERS = ("training", "plugins")  # beside `glm_annot/` in a checkout, inside it once installed
# setuptools adds its files to a `build/` that lies there, and packs all it finds: an old one would bring back
# modules that are gone. This one is new each time, and removed at the end.
BUILD = TemporaryDirectory(prefix="glm-annot-build-")
INSIDE = find_packages(include=[pattern for folder in FOLDERS for pattern in (folder, f"{folder}.*")])


class Sdist(sdist):
    """An sdist whose bytes depend on its files and SOURCE_DATE_EPOCH alone (wheels do so by themselves)."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))

        def plain(member):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = seconds
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            return member

        path = f"{base_name}.tar.gz"
        with (
            Path(path).open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=seconds) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            archive.add(base_dir, filter=plain)  # in order of the names
        return path


setup(
    name="glm-annot",
    version=VERSION,
    description="EC numbers, operons and calibrated confidences for annotated prokaryotic genomes, "
    "from a genomic language model that reads genes in context",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[*find_packages(include=["glm_annot", "glm_annot.*"]), *map("glm_annot.{}".format, INSIDE)],
    package_dir={f"glm_annot.{folder}": folder for folder in FOLDERS},
    package_data={
        "glm_annot": ["models/*/*", "py.typed"],
        "glm_annot.report": ["page/*"],
        "glm_annot.training": ["recipes/*.json", "recipes/sets/*.json"],
        "glm_annot.training.corpus": ["lineages.tsv"],
        "glm_annot.training.paper": ["templates/*"],
    },
    install_requires=[
        "torch>=2.5",
        "fair-esm>=2.0.0",
        "biopython>=1.81",
        "gffutils>=0.12",
        "click>=8.1",
        "filelock>=3.12",
        "jinja2>=3.1",
        "numba>=0.59",
        "numpy>=1.26",
        "platformdirs>=4.0",
        "safetensors>=0.4.3",
        "tqdm>=4.66",
        "tomli>=2.0; python_version < '3.11'",
        "pyopal>=0.7.3",
    ],
    extras_require={
        "train": [
            "deepspeed>=0.16",
            "pyarrow>=15",
            "pydantic>=2.6",
            "scikit-learn>=1.4",
            "scipy>=1.12",
            "tensorboard>=2.17",
        ],
        "paper": [
            "matplotlib>=3.8",
            "scikit-learn>=1.4",
            "scipy>=1.12",
            "statsmodels>=0.14",
            "pandas>=2.1",
        ],
        "table": ["anndata>=0.10", "pandas>=2.1", "pyarrow>=15"],
        "plot": ["dna-features-viewer>=3.1.2", "matplotlib>=3.8", "pycirclize>=1.6"],
        "notebook": ["jupyterlab>=4.2"],  # with `table` and `plot` for examples/notebook.ipynb
        "genes": ["pyrodigal>=3.4"],  # GPL-3, so never a base dependency
        "docs": ["mkdocs-click>=0.8", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.26"],
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "import-linter>=2.1",
            "ruff>=0.17.6",
            "mypy>=2.4.1",
            "playwright>=1.65",  # the report in a browser, where there is one
            "mkdocs-click>=0.8",
            "mkdocs-material>=9.5",
            "mkdocstrings[python]>=0.26",
            "pyrodigal>=3.4",
            "anndata>=0.10",
            "dna-features-viewer>=3.1.2",  # pictures
            "matplotlib>=3.8",
            "pycirclize>=1.6",
            "setuptools>=77.0.1",
            "wheel>=0.43",
        ],
    },
    cmdclass={"sdist": Sdist},
    options={"build": {"build_base": BUILD.name}},
    entry_points={
        "console_scripts": [
            "glm-annot = glm_annot.cli.app:main",
            "glm-train = glm_annot.training.cli:main",
        ],
        "glm_annot.plugins": [
            "bakta = glm_annot.plugins.bakta:plugin",
            "baktfold = glm_annot.plugins.bakta:baktfold",
            "prokka = glm_annot.plugins.prokka:plugin",
            "ncbi_datasets = glm_annot.plugins.fixed_names:ncbi_datasets",
            "pgap = glm_annot.plugins.pgap:plugin",
            "dfast = glm_annot.plugins.fixed_names:dfast",
        ],
    },
    classifiers=[
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Bio-Informatics",
    ],
)
