"""What verdicts judge: each measure reads the evidence and returns layer, index and value."""
