"""The command line. `main` is the program: it turns whatever happens into output and an exit code.

Exit codes: 0 answered, 1 failed, 2 wrong usage or input, 3 a budget ran out and the answer is partial,
130 interrupted. Nothing heavy is imported before a command needs it, so that help comes at once.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

FAILED, INTERRUPTED = 1, 130


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the program with these arguments, by default those of the process, and exit."""
    given = list(sys.argv[1:] if args is None else args)
    signal.signal(signal.SIGTERM, _terminated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(_ran(given))


def _ran(args: list[str]) -> int:
    import click

    from rlm_rs.cli.program import program
    from rlm_rs.cli.streams import tell

    try:
        code = program.main(args, prog_name="rlm", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "rlm"
        tell(f"rlm: {error.format_message()} See `{path} --help`.")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        tell("rlm: interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return FAILED
    except Exception as error:  # noqa: BLE001 - the edge of the process: an exit code and one line, whatever it was
        return _reported(error, verbose=_is_verbose(args))
    return int(code or 0)


def _reported(error: Exception, *, verbose: bool) -> int:
    from rlm_rs.cli.running import Interrupted
    from rlm_rs.cli.streams import one_line, tell
    from rlm_rs.core.errors import RlmError

    if isinstance(error, Interrupted):
        tell(f"rlm: {error}")
        # not sys.exit: a thread may still wait for standard input, and nothing of it is wanted
        os._exit(INTERRUPTED)
    if verbose:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, RlmError):
        tell(f"rlm: {one_line(error.message)}")
        return error.exit_code
    if not verbose:
        tell(
            f"rlm: {type(error).__name__}: {one_line(str(error)) or 'no message'} "
            "(unexpected; -v shows where it came from)"
        )
    return FAILED


def _is_verbose(args: list[str]) -> bool:
    return any(arg == "--verbose" or (arg[:1] == "-" and arg[:2] != "--" and "v" in arg) for arg in args)


def _discard_output() -> None:
    """Whoever read the output is gone: nothing more is written, not even when the interpreter ends."""
    sink = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            os.dup2(sink, stream.fileno())


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
