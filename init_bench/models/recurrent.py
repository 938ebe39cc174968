"""Build recurrent networks."""

from torch import Tensor, nn


class RowReader(nn.Module):
    """Read an image row by row and classify it from the last hidden state."""

    def __init__(self, features: int, classes: int, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, width, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, channels, height, width)``."""
        hidden, _ = self.lstm(images.transpose(1, 2).flatten(2))
        logits: Tensor = self.head(hidden[:, -1])
        return logits


def lstm_rows(image: tuple[int, int, int], classes: int, width: int) -> nn.Module:
    """Return an LSTM over the rows of an image, and a linear layer on its last state.

    Formula:
        h_t = LSTM(row_t, h_(t−1)), logits = W h_height + b.

    Args:
        image: channels, height, width of an image.
        classes: outputs of the last layer.
        width: hidden units.

    Raises:
        ValueError: ``width`` is not above 0, as torch checks it.

    Source:
        Le, Jaitly & Hinton, A Simple Way to Initialize Recurrent Networks of Rectified Linear
        Units, 2015, sec. 4.2, which reads MNIST pixel by pixel; here by rows.

    Example:
        >>> import torch
        >>> lstm_rows((1, 28, 28), 10, width=8)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    return RowReader(image[0] * image[2], classes, width)
