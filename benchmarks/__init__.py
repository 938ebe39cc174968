"""Compare init_bench with its peers and test its verdicts. Most modules are commands."""
