"""Files that glm-train made in a working folder: recognised among others, and the only ones to be removed.

A file is recognised by its path and its size. A file that somebody has edited since belongs to them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from glm_annot.errors import UsageError

Sizes = Mapping[str, int]  # bytes of each file, by its path within the working folder


def files_below(work: Path, folders: Iterable[str]) -> dict[str, int]:
    """Sizes of all files in some folders of `work` and in the folders within them.

    A symbolic link counts as a file and is not followed, unless one of the folders is itself a link.
    """
    return sizes_of(work, (path for folder in folders for path in _walk(work, folder)))


def sizes_of(work: Path, paths: Iterable[str]) -> dict[str, int]:
    """Sizes of those of the files that are there."""
    return {path: (work / path).lstat().st_size for path in paths if os.path.lexists(work / path)}


def is_named(path: str, names: Iterable[str]) -> bool:
    """Whether a path has one of these names, or is the unfinished draft (`.part`) of such a file.

    `*` in a name stands for any letters, slashes among them.
    """
    forms = ((name, f"{name}.part", PurePosixPath(name).with_suffix(".part").as_posix()) for name in names)
    return any(fnmatchcase(path, form) for group in forms for form in group)


def refuse_foreign(work: Path, found: Sizes, own: Sizes) -> None:
    """Make sure that files are the program's own.

    Args:
        work: the working folder.
        found: files as they are now.
        own: files as the program left them.

    Raises:
        UsageError: one that it did not make, or that was changed since.
    """
    for path, size in found.items():
        if path not in own:
            fault = "is not among the files that glm-train recorded as its own"
        elif own[path] != size:
            fault = "was changed after glm-train made it"
        else:
            continue
        raise UsageError(f"{work / path} {fault}; move or delete it yourself, or give another folder")


def remove(work: Path, own: Sizes) -> None:
    """Remove files, and each folder within `work` that is left empty by it."""
    for path in own:
        (work / path).unlink(missing_ok=True)
    folders = {parent for path in own for parent in Path(path).parents if len(parent.parts) > 1}
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        if (work / folder).is_dir() and not any((work / folder).iterdir()):
            (work / folder).rmdir()


def _walk(work: Path, folder: str) -> Iterable[str]:
    for place, folders, files in os.walk(work / folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(place) / name).relative_to(work).as_posix()
