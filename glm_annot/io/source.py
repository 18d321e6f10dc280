"""Opens an input, file or standard input: unpacks gzip (by its magic bytes) and recognises the format."""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from shlex import quote
from tempfile import SpooledTemporaryFile, gettempdir
from typing import BinaryIO, cast

from glm_annot.errors import GlmAnnotError, InputError

STDIN = "-"
_GZIP_MAGIC = b"\x1f\x8b"
MOST_UNPACKED = 10**9  # bytes of a gzip file, where these are more than
MOST_PACKED = 100  # times its own; annotations are packed to about a quarter
BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks
_LETTERS = 200  # bytes by which a text in UTF-16 without such a mark is known; an annotation begins in ASCII
_BLOCK = 2**20  # bytes read at a time
_LINES_BLOCK = 2**16  # bytes cut into lines at a time
_SHORT = 8  # bytes of a line, up to which equal lines are one object
_SPOOLED = 2**26  # bytes kept in memory; larger texts go to disk
HEAD = 65536  # bytes by which a format is recognised; release files begin with kilobytes of header
_NUCLEOTIDE_SHARE = 0.9  # of letters ACGTUN; a protein has about 0.3 of them
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LOCUS = re.compile(rb"^LOCUS[ \t]", re.MULTILINE)
_EMBL = re.compile(rb"ID {1,3}[^\n]*;")
_PRODIGAL = re.compile(rb"DEFINITION\s+seqnum=|# Sequence Data: seqnum=")
_BAKTA_TABLE = re.compile(rb"^#Sequence Id\tType\t", re.MULTILINE)  # nine columns, but not those of GFF3
SEQUENCE_LINE = re.compile(rb"[A-Za-z*.?~\-\s]*")  # of a FASTA file
_FEATURE_TABLE = re.compile(rb">Feature\s")
_FEATURE = re.compile(rb"(?:^|(?<=\r))[^#\s][^\t\r\n]*(?:\t[^\t\r\n]*){8}\t*(?:\r|$)", re.MULTILINE)


def read_bytes(path: str | Path) -> bytes:
    """The whole content of `path` (`-`: standard input), decompressed.

    Raises:
        InputError: missing, unreadable, a folder, or a damaged gzip file.
    """
    return b"".join(_blocks(path))


def spool(path: str | Path) -> BinaryIO:
    """The same content as a file to seek in.

    Raises:
        InputError: as for `read_bytes`.
        GlmAnnotError: there is no room for it on the disk.
    """
    return spooled(_blocks(path))


def spooled(blocks: Iterable[bytes]) -> BinaryIO:
    """The blocks as a temporary file, in memory while it is small; positioned at its beginning.

    Raises:
        GlmAnnotError: no room for it.
    """
    file = SpooledTemporaryFile(max_size=_SPOOLED)  # noqa: SIM115  # the caller closes it
    for block in blocks:
        try:
            file.write(block)
        except OSError as error:
            raise GlmAnnotError(
                f"no room in {gettempdir()} ({error.strerror}); name another folder in TMPDIR"
            ) from error
    file.seek(0)
    return cast(BinaryIO, file)


def _blocks(path: str | Path) -> Iterator[bytes]:
    try:
        with _raw(path) as raw:
            packed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            raw.seek(0)
            yield from _unpacked(raw, path) if packed else iter(partial(raw.read, _BLOCK), b"")
    except FileNotFoundError:
        raise InputError("no such file; check the path", path) from None
    except IsADirectoryError:
        raise InputError("this is a folder; name an annotation file in it", path) from None
    except EOFError:
        raise InputError("the gzip file is cut short; fetch or copy it again", path) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip file is damaged ({error}); fetch or copy it again", path) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path) from None


_most_unpacked = MOST_UNPACKED


def allow_unpacked(gigabytes: float) -> None:
    """Let this process unpack so much of a file, however well it is packed."""
    global _most_unpacked
    _most_unpacked = int(gigabytes * 1e9)


def _unpacked(raw: BinaryIO, path: str | Path) -> Iterator[bytes]:
    """The content of a gzip file, block by block; InputError where it could fill memory and disk."""
    size = 0
    with gzip.GzipFile(fileobj=raw, mode="rb") as content:
        for block in iter(partial(content.read, _BLOCK), b""):
            size += len(block)
            if size > _most_unpacked and size > MOST_PACKED * raw.tell():
                raise InputError(
                    f"this gzip file has more than {_most_unpacked / 1e9:g} GB unpacked, over {MOST_PACKED} "
                    "times its size; if that is right, raise --max-unpacked",
                    path,
                )
            yield block


def _raw(path: str | Path) -> BinaryIO:
    if str(path) == STDIN:
        if sys.stdin is None:  # closed by whoever started the program
            raise InputError("there is none: it was closed", path)
        return spooled(iter(partial(sys.stdin.buffer.read, _BLOCK), b""))
    file = Path(path).open("rb")  # noqa: SIM115  # the caller closes it
    if file.seekable():
        return file
    with file:  # a pipe
        return spooled(iter(partial(file.read, _BLOCK), b""))


def check_text(text: bytes, path: str | Path) -> None:
    """Raise InputError where `text` is empty or not a text file."""
    if not text.strip():
        raise InputError("the file is empty", path)
    if (encoding := _utf_16(text[:HEAD])) is not None:
        command = _converting(f"iconv -f {encoding} -t UTF-8", path)
        raise InputError(f"this text is in UTF-16; convert it: {command}", path)
    if b"\0" in text[:HEAD]:
        raise InputError(
            "this is a binary file; give a GFF3, GenBank, EMBL or Bakta JSON file (plain or gzipped)", path
        )


def _utf_16(head: bytes) -> str | None:
    """The name of a UTF-16 encoding, which a mark tells, or that of two bytes one is always 0; else None."""
    if head.startswith(_UTF_16):
        return "UTF-16"
    low, high = head[:_LETTERS:2], head[1:_LETTERS:2]
    for zeros, others, name in ((high, low, "UTF-16LE"), (low, high, "UTF-16BE")):
        if zeros and not any(zeros) and all(others):
            return name
    return None


def _converting(command: str, path: str | Path) -> str:
    """How to run a command on a file, gzipped or not, and where to put what it prints."""
    name = Path(path).name
    plain = name.removesuffix(".gz")
    source = f"{command} < {quote(name)}" if plain == name else f"gzip -dc {quote(name)} | {command}"
    return f"{source} > {quote('converted_' + plain)}"


def is_fasta(text: bytes) -> bool:
    """Whether a text begins as FASTA does."""
    return text[:HEAD].removeprefix(BOM).lstrip().startswith(b">")


def recognise(text: bytes) -> str | None:
    """The format of an annotation by its content, as `Source` names it; None for none."""
    head = text[:HEAD].removeprefix(BOM).lstrip()
    if head.startswith(b"##gff-version"):
        return "gff3"
    if head.startswith(b"{") and b'"features"' in head:
        return "bakta"
    if _EMBL.match(head):
        return "embl"
    if _LOCUS.search(head):
        return "genbank"
    if not head.startswith(b">") and not _BAKTA_TABLE.search(head) and _FEATURE.search(text):
        return "gff3"
    return None


def recognise_file(path: str | Path) -> str | None:
    """As `recognise`, of a file, of which mostly the first block is read.

    Raises:
        InputError: as for `read_bytes`.
    """
    first = next(_blocks(path), b"")
    found = recognise(first)
    if found is None and len(first) == _BLOCK and not first.removeprefix(BOM).lstrip().startswith(b">"):
        return recognise(read_bytes(path))
    return found


def sniff(text: bytes, path: str | Path) -> str:
    """As `recognise`, but anything else is an error.

    Raises:
        InputError: empty, binary, or something else; the message names what it looks like.
    """
    check_text(text, path)
    found = recognise(text)
    if found is not None:
        _check_line_ends(found, text[:HEAD], path)
        return found
    head = text.removeprefix(BOM).lstrip()
    if _FEATURE_TABLE.match(head):
        raise InputError("this is a feature table (.tbl); give the GFF3 or GenBank file beside it", path)
    if _BAKTA_TABLE.search(head):
        raise InputError("this is Bakta's table (.tsv); give its .gff3, .gbff, .embl or .json", path)
    if _is_fasta_throughout(head[:HEAD]):
        raise InputError(_fasta_advice(head), path)
    for start, what in ((b"{", "JSON"), (b"[", "JSON"), (b"<", "XML")):
        if head.startswith(start):
            raise InputError(
                f"this looks like {what}; give the GFF3, GenBank or EMBL file of the annotation", path
            )
    if match := _PRODIGAL.match(head):
        what = "default (gbk)" if match[0].startswith(b"DEF") else "sco"
        raise InputError(f"this is Prodigal's {what} output; run it again with -f gff", path)
    raise InputError(
        "this is neither GFF3 (nine columns separated by tabs) nor GenBank (LOCUS ...) nor EMBL (ID ...) nor "
        "Bakta's JSON",
        path,
    )


def is_nucleotide(letters: str) -> bool:
    """Whether upper-case letters of sequences are nucleotides rather than residues."""
    return sum(map(letters.count, "ACGTUN")) >= _NUCLEOTIDE_SHARE * len(letters)


def _is_fasta_throughout(text: bytes) -> bool:
    """Whether each line is a header or holds letters; Glimmer puts its tables of genes under such headers."""
    lines = text.splitlines()
    return text.startswith(b">") and all(n.startswith(b">") or SEQUENCE_LINE.fullmatch(n) for n in lines)


def _fasta_advice(text: bytes) -> str:
    """What to do with a FASTA file that was given for an annotation."""
    lines = text[:HEAD].splitlines()
    letters = "".join(decode(line).strip().upper() for line in lines if not line.startswith(b">"))
    if is_nucleotide(letters):
        return (
            "these are contigs without genes (FASTA); --call-genes calls them, or annotate them with Bakta "
            "or Prokka first. Contigs of an annotation are given as --fasta beside it"
        )
    return "these are proteins (FASTA): give --faa with the GFF3 that says where their genes are"


def sniff_file(file: BinaryIO, path: str | Path) -> str:
    """As `sniff`, of a file at its beginning, where it is left; a look at its head mostly does."""
    head = file.read(HEAD)
    found = recognise(head) if head.strip() and b"\0" not in head else None
    if found is None:
        file.seek(0)
        found = sniff(file.read(), path)
    _check_line_ends(found, head, path)
    file.seek(0)
    return found


def _check_line_ends(found: str, head: bytes, path: str | Path) -> None:
    """Raise InputError for a GFF3 whose lines end as on old Macs; of GenBank files they are read."""
    if found == "gff3" and b"\r" in head and b"\n" not in head:
        command = _converting(r"tr '\r' '\n'", path)
        raise InputError(f"old Mac line ends (CR); convert them: {command}", path)


def split_lines(text: bytes) -> list[bytes]:
    """The lines of `text` with their own ends (\\n, \\r\\n, \\r), so that joining them gives `text` back."""
    if len(text) <= _LINES_BLOCK:
        return text.splitlines(keepends=True)
    lines: list[bytes] = []
    start, same = 0, dict[bytes, bytes]()  # of many blank lines each would be an object of its own
    while start < len(text):
        found = _LINE_END.search(text, start + _LINES_BLOCK)
        end = found.end() if found else len(text)
        block = text[start:end].splitlines(keepends=True)
        lines += [same.setdefault(line, line) if len(line) <= _SHORT else line for line in block]
        start = end
    return lines


def join_lines(lines: Iterable[bytes]) -> bytes:
    """The lines as one text. `bytes.join` would take some 80 bytes of memory for each of them."""
    text = BytesIO()
    text.writelines(lines)
    return text.getvalue()


def blocks_from(file: BinaryIO, start: int) -> Iterator[bytes]:
    """What a file holds from byte `start` on."""
    file.seek(start)
    return iter(partial(file.read, _BLOCK), b"")


def line_end(line: bytes) -> bytes:
    """The line end that `line` carries; empty for a last line without one."""
    return line[len(line.rstrip(b"\r\n")) :]


def newline_of(line: bytes) -> bytes:
    r"""The line end of the file whose first line this is; `\n` where it has none."""
    return line_end(line) or b"\n"


def decode(raw: bytes) -> str:
    """Text of one line or field: UTF-8, else Latin-1, as old annotation files mix both. Never fails."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
