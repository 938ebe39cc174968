"""Ratios against peers, measured in one run, in turn. Each module is a command."""
