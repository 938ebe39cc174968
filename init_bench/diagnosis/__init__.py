"""What is wrong with a model's initialisation: evidence, rules, findings, report."""
