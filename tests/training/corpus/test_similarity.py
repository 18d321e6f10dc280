import random
import shutil

import pytest

from glm_annot.training.corpus import diamond, similarity

needs_mmseqs = pytest.mark.skipif(shutil.which("mmseqs") is None, reason="MMseqs2 is not installed")
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
