import random
import shutil
from pathlib import Path

import pytest
from glm_annot.training.corpus import diamond, similarity

from glm_annot.errors import GlmAnnotError

needs_mmseqs = pytest.mark.skipif(shutil.which("mmseqs") is None, reason="MMseqs2 is not installed")
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="this system does not say what a process does"
)
needs_diamond = pytest.mark.skipif(shutil.which("diamond") is None, reason="DIAMOND is not installed")


def protein(seed: int, length: int = 120) -> str:
    return "M" + "".join(random.Random(seed).choices("ACDEFGHIKLMNPQRSTVWY", k=length - 1))


def mutated(sequence: str, share: float, seed: int = 0) -> str:
    rng = random.Random(seed)
    return "".join(rng.choice("ACDEFGHIKLMNPQRSTVWY") if rng.random() < share else c for c in sequence)


@needs_mmseqs
@pytest.mark.parametrize("sensitive", [False, True])
def test_clusters_hold_relatives_and_nothing_else(sensitive: bool):
    first, second = protein(1), protein(2)
    found = similarity.cluster([first, second, mutated(first, 0.2)], sensitive=sensitive)
    assert found[0] == found[2] != found[1]


@needs_diamond
def test_alike_wants_identity_and_coverage_of_both():
    target = protein(1, 200)
    queries = [mutated(target, 0.2), mutated(target, 0.7), target[:100], target + protein(5, 150)]
    assert diamond.alike(queries, [target], min_identity=0.5, min_coverage=0.8) == {0: 0}


def test_a_missing_tool_is_named_with_what_to_install():
    with pytest.raises(GlmAnnotError, match="no-such-tool is not installed or not on PATH; fetch it"):
        similarity.run_tool(["no-such-tool", "x"], install="fetch it")


def test_a_failing_tool_gives_its_last_line():
    with pytest.raises(GlmAnnotError, match="status 3: broken"):
        similarity.run_tool(["sh", "-c", "echo broken >&2; exit 3"], install="")


@needs_proc
def test_a_tool_that_hangs_is_started_once_more(tmp_path: Path) -> None:
    hangs_once = f"test -e {tmp_path}/again && echo done || {{ touch {tmp_path}/again; exec sleep 60; }}"
    assert similarity.run_tool(["sh", "-c", hangs_once], install="", idle_limit=0.2) == "done\n"
    with pytest.raises(GlmAnnotError, match="hung twice"):
        similarity.run_tool(["sleep", "60"], install="", idle_limit=0.2)


@needs_proc
def test_a_tool_that_computes_for_long_is_left_alone() -> None:
    counts = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo $i"
    assert similarity.run_tool(["sh", "-c", counts], install="", idle_limit=0.1) == "300000\n"
