"""The plain baseline: the network as a textbook writes it and the loop as a researcher writes it.

Not a benchmark itself; `step.py` and `gpu_step.py` compare it with ours.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from reinit_bench.models import layers
from reinit_bench.models.layers import Conv, Norm


def plain_twin(net: nn.Module, *, batch_norm: bool = False) -> nn.Module:
    """A copy made of torch's own modules only: `nn.Conv2d`, `nn.GroupNorm` (or BatchNorm), `nn.ReLU`; NCHW."""
    twin = copy.deepcopy(net)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Norm):
                setattr(parent, name, _plain_norm(child, batch_norm))
            elif isinstance(child, layers.BatchNorm):
                setattr(parent, name, _plain_batch_norm(child))
            elif isinstance(child, Conv):
                setattr(parent, name, _plain_conv(child))
    return twin.to(memory_format=torch.contiguous_format)


def _plain_norm(norm: Norm, batch_norm: bool) -> nn.Module:
    channels = norm.num_channels
    plain: nn.Module = nn.GroupNorm(1, channels, eps=norm.eps)
    if batch_norm:
        plain = BatchNorm(channels, eps=norm.eps)
    plain.load_state_dict(norm.state_dict(), strict=False)
    return nn.Sequential(plain, nn.ReLU()) if norm.relu else plain


def _plain_batch_norm(norm: layers.BatchNorm) -> nn.Module:
    plain = BatchNorm(norm.num_features, eps=norm.eps)
    plain.load_state_dict(norm.state_dict())
    return nn.Sequential(plain, nn.ReLU()) if norm.relu else plain


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm of images and of vectors."""

    def _check_input_dim(self, input: torch.Tensor) -> None: ...  # noqa: A002


def _plain_conv(conv: Conv) -> nn.Conv2d:
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    plain.load_state_dict(conv.state_dict())
    return plain


class Pictures(torch.utils.data.Dataset):
    """PIL images and labels; each image is transformed when it is requested."""

    def __init__(self, images: list[Any], labels: list[int], transform: Any) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def pictures(split: Any, size: int) -> Pictures:
    """A split of a task as a torchvision dataset: resized, converted to a tensor and standardized image by image."""
    from PIL import Image
    from torchvision import transforms

    stored = split.stored if split.rows is None else split.stored[split.rows]
    arrays = stored.squeeze(-1).numpy()
    images = [Image.fromarray(array) for array in arrays]
    mean, std = float(arrays.mean()) / 255, float(arrays.std()) / 255
    steps = [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(mean, std)]
    return Pictures(images, split.labels.tolist(), transforms.Compose(steps))


def plain_epochs(task: Any, net: nn.Module, batch: int) -> Iterator[None]:
    """Epoch after epoch: two DataLoader workers, eager, fp32, `loss.item()` every step, validation after each epoch."""
    loader = torch.utils.data.DataLoader
    train = loader(
        pictures(task.train, task.image_size), batch_size=batch, shuffle=True, num_workers=2, persistent_workers=True
    )
    held_out = loader(pictures(task.validation, task.image_size), batch_size=batch)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.003, momentum=0.9, weight_decay=2e-5)
    while True:
        net.train()
        running = 0.0
        for inputs, labels in train:
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(inputs), labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
        net.eval()
        correct = 0
        with torch.no_grad():
            for inputs, labels in held_out:
                correct += int((net(inputs).argmax(1) == labels).sum())
        yield
