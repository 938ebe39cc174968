"""``python -m init_bench`` and the ``init-bench`` command."""

from init_bench.cli.app import main

if __name__ == "__main__":
    main()
