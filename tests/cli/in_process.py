"""Run the command line in this process: a process of its own spends seconds on importing torch."""

import io
import logging
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from init_bench.cli.app import main

Done = subprocess.CompletedProcess[str]


def init_bench(*words: str, cwd: Path = Path()) -> Done:
    """Return what ``init-bench`` with these words prints in ``cwd``, and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    log = logging.StreamHandler(err)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["init-bench", *words])
        logger = logging.getLogger("init_bench")
        patch.setattr(logger, "handlers", [log])
        patch.setattr(logger, "level", logging.INFO)
        logger.manager._clear_cache()  # type: ignore[attr-defined]
        with pytest.raises(SystemExit) as left:
            main()
    code = left.value.code
    return Done(
        words, code if isinstance(code, int) else int(bool(code)), out.getvalue(), err.getvalue()
    )
