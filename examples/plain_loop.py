"""A training loop of one's own: torchvision's resnet18 on scikit-learn's digits, reset between rounds.

    python examples/plain_loop.py           # LW, the paper's method
    python examples/plain_loop.py wels      # another one

Needs torchvision. Takes a few seconds; so short a run says nothing about the methods.
"""

import sys
from functools import partial

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet18

from reinit_bench import BlockNet, Reinitialization

STEPS = 16


def digits() -> tuple[TensorDataset, TensorDataset]:
    """320 images of 32x32 pixels to train with and 300 to test with: inputs (n, 3, 32, 32) and labels (n,)."""
    pixels, classes = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    images = functional.interpolate(images, size=32).expand(-1, 3, -1, -1)
    labels = torch.tensor(classes)
    return TensorDataset(images[:320], labels[:320]), TensorDataset(images[320:620], labels[320:620])


def build() -> nn.Module:
    # The statistics of so few steps must follow faster than usual.
    return resnet18(num_classes=10, norm_layer=partial(nn.BatchNorm2d, momentum=0.5))


def main(method: str) -> None:
    torch.manual_seed(0)
    train_set, test_set = digits()
    loader = DataLoader(train_set, batch_size=32, shuffle=True)

    net = BlockNet.wrap(build(), blocks=["layer2", "layer4"])  # the stem and layer1 belong to block 1, fc is the top
    resets = Reinitialization(method, net, sample=train_set[:256], data=loader, initializer=build)
    print("round  block  steps   loss  test accuracy")
    for round in resets.rounds(max_steps=STEPS):  # noqa: A001 (the paper's word)
        resets.begin(round)
        loss = train(net, resets, loader, round.max_steps)
        print(f"{round.index:5}  {round.block:5}  {round.max_steps:5}  {loss:5.2f}  {accuracy(net, test_set):13.2f}")


def train(net: BlockNet, resets: Reinitialization, loader: DataLoader, max_steps: int) -> float:
    """One round; returns the last loss. The calls of `hooks` are for methods that act while a round trains."""
    hooks = resets.hooks
    # A new optimizer: momentum of the last round would pull at what has been redrawn.
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.02, momentum=0.9)
    step, loss = 0, torch.zeros(())
    while step < max_steps:
        if step > 0:
            hooks.after_epoch(net, optimizer)
        net.train()
        for inputs, labels in loader:
            if step == max_steps:
                break
            loss = functional.cross_entropy(net(inputs), hooks.targets(inputs, labels))
            penalty = hooks.penalty(net)
            optimizer.zero_grad()
            (loss if penalty is None else loss + penalty).backward()
            hooks.before_step(net)
            optimizer.step()
            hooks.after_step(net)
            step += 1
    return loss.item()


@torch.no_grad()
def accuracy(net: nn.Module, dataset: TensorDataset) -> float:
    net.eval()
    inputs, labels = dataset[:]
    return float((net(inputs).argmax(1) == labels).float().mean())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "lw")
