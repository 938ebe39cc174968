"""Monitor a training by the ``Trainer`` of ``lightning.pytorch``. Needs that package."""

from lightning.pytorch import Callback

from init_bench.integrations.lightning_hooks import LightningHooks


class DiagnosisCallback(LightningHooks, Callback):  # type: ignore[misc]
    __doc__ = LightningHooks.__doc__

    library = "lightning.pytorch"
