"""`rlm serve`: the web UI, the HTTP API and their workers in one process."""

from __future__ import annotations

import click

from rlm_rs.cli.options import here_alone, shared_options


@click.command("serve", short_help="Serve the web UI and the HTTP API, with their workers.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@shared_options
@click.pass_context
def command(ctx: click.Context, host: str, port: int) -> int:
    """Serve the web UI and the HTTP API until interrupted, and do their work in the same process.

    On a loopback address a link is printed that signs one browser in, once, within ten minutes. The first
    start makes a key, prints it, and keeps it in the data directory; it signs in too. With
    WORKER_MODE=none only the API runs; `python -m rlm_rs.worker_entrypoint` then does the work.
    """
    import asyncio
    from pathlib import Path

    try:
        from rlm_rs.api.serving import serve
    except ModuleNotFoundError as error:
        raise click.UsageError(
            f"{error.name} is missing: install the service's parts with `pip install 'rlm-rs[service]'`."
        ) from error
    from rlm_rs.cli.streams import say
    from rlm_rs.settings import load_settings

    data_dir = here_alone(ctx).data_dir
    settings = load_settings(rlm_data_dir=Path(data_dir) if data_dir else None)
    try:
        asyncio.run(serve(settings, host, port, say))
    except KeyboardInterrupt:
        # the server has shut down and passes on the signal that ended it
        return 0
    return 0
