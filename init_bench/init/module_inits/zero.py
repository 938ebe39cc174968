"""Fill by ZerO: with zeros and ones alone, by identity and Hadamard matrices."""

import math

import torch
from torch import Tensor

from init_bench.init.tensor_inits.identity import kernel_center
from init_bench.init.whole_model.network_editor import Network


def zero_(network: Network) -> None:
    """Fill every weight with a partial identity, or a Hadamard matrix where it widens.

    Formula:
        W = I* (ones on the diagonal) if n_out <= n_in; else W = c I* H_m I* with H_m the Hadamard
        matrix of 2^m rows, m = ceil(log2(n_out)), c = 2^(−(m−1)/2). A convolution holds W at the
        center of its kernel. Biases 0. Nothing is drawn: every seed gives the same network.

    Shapes:
        network: any; weights of embeddings, gates and groups are matrices of their own.

    Raises:
        InitBenchError: nothing of its own; what ``initialize`` refuses, such as lazy parameters.

    Source:
        Zhao, Schäfer & Anandkumar, ZerO Initialization: Initializing Neural Networks with only
        Zeros and Ones, 2022, algorithms 1 and 2 (the authors' notebook has c = 2^(−m/2), with
        which the columns of a whole Hadamard matrix have length 1, here √2).

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 4))
        >>> report = initialize(model, "zero")
        >>> model[0].weight.tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        >>> model[2].weight.mul(2**0.5).round().tolist()
        [[1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [1.0, -1.0]]
    """
    network.start("zeros")
    for parameter in network.weights:
        if parameter.values.is_meta:
            network.write(parameter, parameter.values, "zero", "identity or Hadamard matrix")
            continue
        values = torch.zeros(parameter.values.shape)
        parameter.fill_blocks(values, _zero)
        std = values.std(correction=0).item()
        network.write(
            parameter, values.to(parameter.values), "zero", "identity or Hadamard matrix", std=std
        )


def _zero(block: Tensor) -> Tensor:
    kernel_center(block.zero_()).copy_(zero_matrix(block.shape[0], block.shape[1]))
    return block


def zero_matrix(n_out: int, n_in: int) -> Tensor:
    """Return the matrix (n_out, n_in) of ZerO's algorithm 1.

    Example:
        >>> zero_matrix(2, 1)
        tensor([[1.],
                [1.]])
    """
    if n_out <= n_in:
        return torch.eye(n_out, n_in)
    m = math.ceil(math.log2(n_out))
    hadamard = torch.ones(1, 1)
    for _ in range(m):
        hadamard = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), hadamard)
    return hadamard[:n_out, :n_in] * 2 ** (-(m - 1) / 2)
