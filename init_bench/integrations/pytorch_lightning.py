"""Monitor a training by the ``Trainer`` of ``pytorch_lightning``. Needs that package."""

from pytorch_lightning import Callback

from init_bench.integrations.lightning_hooks import LightningHooks


class DiagnosisCallback(LightningHooks, Callback):  # type: ignore[misc]
    __doc__ = LightningHooks.__doc__

    library = "pytorch_lightning"
