"""Names of EC numbers, written into a finished bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

from click.testing import CliRunner

from glm_annot.bundle import load, read_texts
from glm_annot.training.cli import cli

TABLE = """\
ec\tname\tclass_path\tstatus\tsource
2.-.-.-\tTransferases\t\tclass\ta
2.7.-.-\tTransferring phosphorus\t\tclass\ta
2.7.1.2\tglucokinase\t\tcurrent\ta
2.7.1.1\thexokinase\t\tcurrent\ta
"""


def test_a_finished_bundle_gets_the_names_of_its_numbers_and_of_their_classes(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "model")
    (tmp_path / "names.tsv").write_text(TABLE)
    arguments = ["ec-names", str(bundle), "--names", str(tmp_path / "names.tsv")]
    for _ in range(2):
        assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    assert load(bundle).ec_names == {
        "2.-.-.-": "Transferases",
        "2.7.-.-": "Transferases: Transferring phosphorus",
        "2.7.1.2": "glucokinase",
    }  # hexokinase is no number of this model
    assert read_texts(bundle)[1].count("## Names of EC numbers") == 1
