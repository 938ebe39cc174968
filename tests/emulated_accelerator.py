"""An accelerator emulated on the CPU, to catch device mistakes on a machine without a GPU.

Tensors on the device `emulated:0` hold their numbers in a CPU tensor but refuse what CUDA would
refuse: mixing devices, a CPU generator on a device tensor, a CPU tensor indexed by device indices,
`.numpy()` without `.cpu()`. Forward, backward, hooks, optimizers and `torch.nn.init` run with the
CPU's numbers, so a result can be compared with the CPU's, bit for bit.

It rests on torch's experimental hook for Python back ends. It covers no CUDA kernels, streams,
graphs, autocast or device memory: those need a real GPU.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "emulated"
_setup_privateuseone_for_python_backend(NAME)
torch.__future__.set_swap_module_params_on_conversion(
    True
)  # Module.to() must swap, not copy, our tensors
DEVICE = torch.device(NAME, 0)
TRANSFERS = []  # what made the host and the device wait for each other, by operation
_MAY_MIX = {"_to_copy", "copy_", "index", "index_put", "index_put_", "_index_put_impl_"}


class EmulatedTensor(torch.Tensor):
    """A tensor that says it is on `emulated:0` and keeps its numbers in `_cpu`."""

    @staticmethod
    def __new__(cls, cpu):
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            cpu.size(),
            strides=cpu.stride(),
            storage_offset=cpu.storage_offset(),
            dtype=cpu.dtype,
            device=DEVICE,
            requires_grad=False,
        )
        self._cpu = cpu
        return self

    def __repr__(self):
        return f"EmulatedTensor({self._cpu})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class EmulatedAccelerator(TorchDispatchMode):
    """Context in which factory functions understand `device="emulated:0"`."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def _run(func, args, kwargs):
    name = func.overloadpacket.__name__
    leaves = list(tree_iter((args, kwargs)))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    emulated = [tensor for tensor in tensors if isinstance(tensor, EmulatedTensor)]
    wanted = kwargs.get("device")

    if (
        emulated
        and name not in _MAY_MIX
        and any(t.dim() and not isinstance(t, EmulatedTensor) for t in tensors)
    ):
        raise RuntimeError(
            f"{func}: expected all tensors on the same device, found {DEVICE} and cpu"
        )
    if emulated and name.startswith("index") and not isinstance(args[0], EmulatedTensor):
        raise RuntimeError("indices should be on the cpu, as the indexed tensor is")

    lands_here = torch.device(wanted).type == NAME if wanted is not None else bool(emulated)
    if name == "copy_":
        lands_here = isinstance(args[0], EmulatedTensor)
    for leaf in leaves:
        if lands_here and isinstance(leaf, torch.Generator) and leaf.device.type != NAME:
            raise RuntimeError(f"expected a {NAME!r} generator, found one on {leaf.device}")
    if name == "_local_scalar_dense":
        TRANSFERS.append("read a number")
        return func(_cpu(args[0]))
    if name == "copy_" and isinstance(args[0], EmulatedTensor) != isinstance(
        args[1], EmulatedTensor
    ):
        TRANSFERS.append("copy in" if lands_here else "copy out")
    if name == "_to_copy" and wanted is not None and bool(emulated) != lands_here:
        TRANSFERS.append("copy in" if lands_here else "copy out")

    inner = dict(kwargs, device="cpu") if wanted is not None else kwargs
    known = {
        id(tensor._cpu): tensor for tensor in emulated
    }  # an in-place result is the same tensor, not a new one
    out = func(*tree_map(_cpu, args), **tree_map(_cpu, inner))

    def wrap(value):
        if not isinstance(value, torch.Tensor) or isinstance(value, EmulatedTensor):
            return value
        return (
            known.get(id(value))
            if id(value) in known
            else EmulatedTensor(value)
            if lands_here
            else value
        )

    return tree_map(wrap, out)


def _cpu(value):
    return value._cpu if isinstance(value, EmulatedTensor) else value
