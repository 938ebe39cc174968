"""List the executors, and take in those of others."""

from init_bench.errors import InitBenchError
from init_bench.init.plugins import register_plugins
from init_bench.training.executors import ray_tasks, slurm_jobs
from init_bench.training.executors.protocol import Executor
from init_bench.training.executors.threads import local, serial

GROUP = "init_bench.executors"
"""Entry points by which other packages bring executors."""


EXECUTORS: dict[str, Executor] = {
    "local": Executor(run=local, parallel=True, help="worker threads of this process"),
    "serial": Executor(run=serial, parallel=False, help="one chunk after another, no threads"),
    "ray": ray_tasks.RAY,
    "slurm": slurm_jobs.SLURM,
}
"""Executors by name."""


def register_executor(name: str, executor: Executor) -> None:
    """Put an executor on the menu, for ``ib.run`` and the command line.

    A package brings one by an entry point, which is registered when the menu is first read:

        [project.entry-points."init_bench.executors"]
        mine = "my_package.executors:MINE"

    Args:
        name: for ``executor=`` and ``--executor``.
        executor: an ``Executor`` of ``init_bench.training.executors``.

    Raises:
        InitBenchError: the name is taken, or ``executor`` is no ``Executor``.

    Example:
        >>> from init_bench.training.executors import Executor, serial
        >>> mine = Executor(run=serial, parallel=False, help="one after another, again")
        >>> register_executor("mine", mine)
        >>> EXECUTORS.pop("mine").help
        'one after another, again'
    """
    if name in EXECUTORS:
        raise InitBenchError(
            f"executor {name!r} is taken ({EXECUTORS[name].help}); choose another name"
        )
    if not isinstance(executor, Executor):
        raise InitBenchError(
            f"executor {name!r} must be an Executor of init_bench.training.executors, "
            f"got {executor!r}"
        )
    EXECUTORS[name] = executor


register_plugins(GROUP, "executor", register_executor)
