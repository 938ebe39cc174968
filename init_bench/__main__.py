"""``python -m init_bench`` and the ``init-bench`` command."""

from init_bench.cli.stop_signals import heed_signals


def main() -> None:
    """Run the command line."""
    heed_signals()  # before the imports that take time
    from init_bench.cli.app import main as run_verb

    run_verb()


if __name__ == "__main__":
    main()
