import csv
from pathlib import Path

from glm_annot.ec.reference import header_numbers
from glm_annot.ec_numbers import is_complete, is_number
from glm_annot.ec_transferred import TRANSFERRED, current
from glm_annot.io.table import Agreement, agreement
from glm_annot.training.ec.labels import numbers


def test_every_transfer_leads_to_a_number_that_stays() -> None:
    assert all(is_number(old) and is_number(new) for old, new in TRANSFERRED.items())
    assert not TRANSFERRED.keys() & set(TRANSFERRED.values())
    assert current(current("5.99.1.2")) == current("5.99.1.2") == "5.6.2.1"
    assert current("2.7.1.2") == "2.7.1.2"


def test_a_number_is_brought_up_to_date_after_the_tables_own_updates() -> None:
    assert numbers("1.6.5.3;7.1.1.2", {}) == ("7.1.1.2",)
    assert numbers("3.6.1.34", {"3.6.1.34": "3.6.3.14"}) == ("7.1.2.2",)
    assert numbers("3.6.3.-;7.3.2.1", {}) == ("7.3.2.1",)  # the class says nothing beside its number


def test_references_and_agreement_know_transfers() -> None:
    assert header_numbers("sp|P1|X EC=5.99.1.3 EC=5.6.2.2") == ("5.6.2.2",)
    assert agreement(["5.99.1.2"], ["5.6.2.1"]) is Agreement.SAME
    assert agreement(["3.6.3.27"], ["7.3.2.-"]) is Agreement.PREFIX
    assert agreement(["3.6.3.27"], ["3.6.1.1"]) is Agreement.CONFLICT


def test_a_divided_number_does_not_contradict_its_parts() -> None:
    assert agreement(["1.11.1.15"], ["1.11.1.24"]) is Agreement.PREFIX
    assert agreement(["5.6.2.4"], ["3.6.4.12"]) is Agreement.PREFIX
    assert agreement(["3.6.4.12"], ["5.6.2.-"]) is Agreement.SAME
    assert agreement(["1.11.1.15"], ["1.11.2.1"]) is Agreement.CONFLICT
    assert numbers("1.11.1.15;1.11.1.24", {}) == ("1.11.1.24",)


def test_no_transfer_leads_to_an_unknown_or_deleted_number(shared_data: Path) -> None:
    with (shared_data / "ec" / "ec_names.tsv").open(encoding="utf-8", newline="") as stream:
        status = {row["ec"]: row["status"] for row in csv.DictReader(stream, delimiter="\t")}
    unknown = [new for new in TRANSFERRED.values() if is_complete(new) and new not in status]
    assert not unknown
    assert not [new for new in TRANSFERRED.values() if status[new] in ("deleted", "transferred")]
