"""Parse one file: detect what it is, render its text and structure, write the outputs.

Outputs, in the directory given: `text.txt` (canonical text), `meta.json` (structure, pages, tables),
`offsets.json` (checkpoints), and `offsets.u64` when a character is not always one byte. A document that
fails leaves none of them behind.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import time
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.parser.canonical import TextSummary, TextWriter
from rlm_rs.parser.detect import Detected, detect
from rlm_rs.parser.failures import (
    DocumentBomb,
    DocumentCorrupt,
    DocumentEmpty,
    DocumentFailed,
    DocumentUnreadable,
    ParseCrashed,
    ParseOutOfMemory,
)
from rlm_rs.parser.offsets import write_offsets
from rlm_rs.parser.outcome import DEFAULT_LIMITS, PARSER_VERSION, ParseLimits, ParseOutcome, SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.structure import build_meta, write_json

TEXT_NAME, META_NAME, OFFSETS_NAME, INDEX_NAME = "text.txt", "meta.json", "offsets.json", "offsets.u64"
OUTPUT_NAMES = (TEXT_NAME, META_NAME, OFFSETS_NAME, INDEX_NAME)
_HEAD_BYTES = 1 << 16
_HASH_BLOCK_BYTES = 1 << 20


def parse_file(
    path: Path,
    name: str,
    mime_type: str | None,
    output_dir: Path,
    limits: ParseLimits = DEFAULT_LIMITS,
) -> ParseOutcome:
    """Parse a file into `output_dir`, which is made if it is missing.

    name: the document's name; its ending helps to tell kinds of text apart. mime_type: the declared
    type, used where the name says nothing. Whatever the input, the outcome is a value; only trouble with
    `output_dir` itself raises (OSError).
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    try:
        return _parse(path, name, mime_type, output_dir, limits)
    except DocumentFailed as error:
        failure = error.failure()
    except MemoryError:
        failure = ParseOutOfMemory(megabytes=limits.memory_bytes >> 20).failure()
    except RecursionError:
        failure = DocumentBomb(reason="it is nested too deeply").failure()
    except Exception as error:  # noqa: BLE001 - the edge: a library's bug on odd input fails that document only
        failure = _unforeseen(error)
    remove_outputs(output_dir)
    return failure


def remove_outputs(output_dir: Path) -> None:
    """Remove what an unfinished parse left behind."""
    for name in OUTPUT_NAMES:
        (output_dir / name).unlink(missing_ok=True)


def _unforeseen(error: Exception) -> Failure:
    if isinstance(error, (zipfile.BadZipFile, EOFError)):
        return DocumentCorrupt(reason="its zip container is broken").failure()
    return ParseCrashed(reason=f"{type(error).__name__}: {error}"[:200]).failure()


def _parse(path: Path, name: str, mime_type: str | None, output_dir: Path, limits: ParseLimits) -> Parsed:
    started = time.perf_counter()
    source = _open(path, name, mime_type, limits)
    detected = detect(source)
    text, out = _render(source, detected, output_dir / TEXT_NAME)
    if text.blank:
        raise DocumentEmpty
    meta = build_meta(out.title, out.headings, out.pages, out.tables, text.char_length)
    write_json(output_dir / META_NAME, meta)
    has_index = write_offsets(output_dir / OFFSETS_NAME, output_dir / INDEX_NAME, text)
    return Parsed(
        char_length=text.char_length,
        byte_length=text.byte_length,
        page_count=len(out.pages),
        text_checksum=text.checksum,
        raw_checksum=_raw_checksum(path),
        mime_type=detected.mime_type,
        parser_version=PARSER_VERSION,
        title=out.title,
        warnings=tuple(out.warnings),
        has_index=has_index,
        seconds=time.perf_counter() - started,
        peak_memory_bytes=_peak_memory(),
    )


def _open(path: Path, name: str, mime_type: str | None, limits: ParseLimits) -> SourceFile:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        return SourceFile(path, name, mime_type, path.stat().st_size, head, limits)
    except OSError as error:
        raise DocumentUnreadable(reason=error.strerror or type(error).__name__) from error


def _render(source: SourceFile, detected: Detected, text_path: Path) -> tuple[TextSummary, Renderer]:
    writer = TextWriter(text_path, source.limits.text_bytes)
    out = Renderer(writer)
    if detected.warning:
        out.warn(detected.warning)
    try:
        _format_module(detected.format).render(source, out)
        return writer.finish(), out
    except BaseException:
        writer.abandon()
        raise


def _format_module(name: str) -> Any:
    """The one lazy import: a corpus of text never loads the PDF or Office libraries."""
    return import_module(f"rlm_rs.parser.formats.{name}")


def _raw_checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_HASH_BLOCK_BYTES):
            digest.update(data)
    return "sha256:" + digest.hexdigest()


def _peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
