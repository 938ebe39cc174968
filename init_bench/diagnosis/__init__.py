"""Diagnose a model's initialization: evidence, rules, findings, report."""
