"""The commands of `sweep` that show a study to others: report, watch, push."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sweep.commands import Flag, app


@app.command
def report(
    study: str,
    /,
    *,
    to: Path | None = None,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Write a study as one HTML page, to look at or to send: it needs no network.

    The answer, every trial against its compute, what was stopped and why, and what another risk
    would have done. It shows the study as it is now, also while it runs.

    Parameters
    ----------
    study
        As for inspect.
    to
        The file; report.html in the study's folder if not given.
    open_
        Show it in the browser.
    """
    from sweep.page.write import open_page, write_page
    from sweep.storage.find import open_study
    from sweep.storage.readable import readable

    with readable(study):
        ledger, paths = open_study(study)
        try:
            written = write_page(ledger, paths, to)
        finally:
            ledger.engine.dispose()
    sys.stdout.write(written.sentence + "\n")
    if open_ and (trouble := open_page(written.path)):
        sys.stderr.write(f"sweep: {trouble}\n")
    return 0


@app.command
def watch(study: str, /, *, port: int = 8788, host: str = "127.0.0.1") -> int:
    """Serve the page of `sweep report`, live: what is new is shown as it happens.

    It reads the study alone, also while another process runs it, waits for one that is not there
    yet, and stays when it has ended. Ctrl-C ends it.

    Parameters
    ----------
    study
        As for inspect.
    port
        Of the server; 0: any that is free.
    host
        The address to serve on. Elsewhere than on this machine the URL has a random token in it.
    """
    from sweep.page.watch import watch_study
    from trainer.contract.signals import Interrupted

    try:
        watch_study(study, host, port)
    except Interrupted as interrupted:
        return 0 if interrupted.number == signal.SIGINT else interrupted.exit_code
    return 0


@app.command
def push(study: str, /, *, to: str, private: Flag = False) -> int:
    """Put the best model on the Hugging Face Hub, with its card, results and picture.

    It is looked at first: no best trial, a constraint that none holds, weights that are not kept or
    not whole are refused. The token comes from HF_TOKEN or `hf auth login`.

    Parameters
    ----------
    study
        As for inspect.
    to
        The model on the Hub, as user/my-model; made if it is not there.
    private
        Make it so that only you see it; one that is there stays as it is.
    """
    from sweep.driver.push import push_study

    sys.stdout.write(push_study(study, to, private=private) + "\n")
    return 0
