"""EC numbers that the Enzyme Commission has transferred to others, as tools and databases still give them.

Most went to class 7, the translocases, which came in 2018; topoisomerases and other changers of conformation
to 5.6. A number that was divided stands for the class that holds all its parts, where there is one; one that
was deleted for what took its place. Other transfers are rare in what today's tools and databases write and
are left to the user's own tables.
"""

from __future__ import annotations

_TRANSFERS = """
    1.6.1.2 7.1.1.1; 1.6.5.3 7.1.1.2; 1.6.5.8 7.2.1.1; 1.9.3.1 7.1.1.9; 1.10.2.2 7.1.1.8;
    1.10.3.10 7.1.1.3; 1.10.3.12 7.1.1.5; 1.10.3.13 7.1.1.4; 1.10.3.14 7.1.1.7; 1.10.9.1 7.1.1.6;
    3.6.3.1 7.6.2.1; 3.6.3.2 7.2.2.14; 3.6.3.3 7.2.2.21; 3.6.3.4 7.2.2.9; 3.6.3.5 7.2.2.12;
    3.6.3.6 7.1.2.1; 3.6.3.7 7.2.2.3; 3.6.3.8 7.2.2.10; 3.6.3.9 7.2.2.13; 3.6.3.10 7.2.2.19;
    3.6.3.12 7.2.2.6; 3.6.3.14 7.1.2.2; 3.6.3.15 7.2.2.1; 3.6.3.16 7.3.2.7; 3.6.3.17 7.5.2.-;
    3.6.3.18 7.5.2.2; 3.6.3.19 7.5.2.1; 3.6.3.20 7.6.2.10; 3.6.3.21 7.4.2.1; 3.6.3.22 7.4.2.2;
    3.6.3.23 7.4.2.6; 3.6.3.24 7.2.2.11; 3.6.3.25 7.3.2.3; 3.6.3.26 7.3.2.4; 3.6.3.27 7.3.2.1;
    3.6.3.28 7.3.2.2; 3.6.3.29 7.3.2.5; 3.6.3.30 7.2.2.7; 3.6.3.31 7.6.2.11; 3.6.3.32 7.6.2.9;
    3.6.3.33 7.6.2.8; 3.6.3.34 7.2.2.-; 3.6.3.35 7.2.2.5; 3.6.3.36 7.6.2.7; 3.6.3.37 7.6.2.6;
    3.6.3.38 7.6.2.12; 3.6.3.39 7.5.2.5; 3.6.3.40 7.5.2.4; 3.6.3.41 7.6.2.5; 3.6.3.42 7.5.2.3;
    3.6.3.43 7.4.2.5; 3.6.3.44 7.6.2.2; 3.6.3.45 7.6.2.2; 3.6.3.46 7.2.2.2; 3.6.3.47 7.6.2.4;
    3.6.3.48 7.4.2.7; 3.6.3.49 5.6.1.6; 3.6.3.50 7.4.2.8; 3.6.3.51 7.4.2.3; 3.6.3.52 7.4.2.4;
    3.6.3.53 7.2.2.15; 3.6.3.54 7.2.2.8; 3.6.3.55 7.3.2.6; 3.6.3.- 7.-.-.-; 3.6.4.3 5.6.1.1;
    3.6.4.8 5.6.1.5; 3.6.4.9 5.6.1.7; 5.99.1.2 5.6.2.1; 5.99.1.3 5.6.2.2;
    1.3.99.1 1.3.5.1; 1.3.99.3 1.3.8.-; 1.8.99.3 1.8.99.5; 1.11.1.15 1.11.1.-; 2.7.8.25 2.4.2.52;
    3.6.1.19 3.6.1.9; 3.6.4.12 5.6.2.-; 3.6.4.13 5.6.2.-; 5.4.2.1 5.4.2.-;
    6.3.2.19 2.3.2.-
"""
_FIELDS = _TRANSFERS.replace(";", " ").split()
TRANSFERRED: dict[str, str] = dict(zip(_FIELDS[::2], _FIELDS[1::2], strict=True))


def current(number: str) -> str:
    """The number that an EC number was transferred to; itself where it was not."""
    return TRANSFERRED.get(number, number)
