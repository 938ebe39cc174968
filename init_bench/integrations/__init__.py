"""Diagnose a model while it is trained: in plain loops, Hugging Face's and Lightning's trainers.

``TrainingMonitor`` is for loops of your own. The callbacks live in modules named after the library
that they need: ``integrations.huggingface``, ``integrations.pytorch_lightning`` and
``integrations.lightning``; none of these libraries is a dependency.
"""

from init_bench.integrations.plain_loop import TrainingMonitor

__all__ = ["TrainingMonitor"]
