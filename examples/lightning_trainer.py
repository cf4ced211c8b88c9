"""With Lightning's Trainer: one `fit` a round, and a callback that begins the round and calls the hooks.

    python examples/lightning_trainer.py           # LW, the paper's method
    python examples/lightning_trainer.py wels      # another one

Needs Lightning 2.4 or later, which nothing else here needs: without it, this says so and ends.
"""

import sys
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from reinit_bench import BlockNet, Reinitialization
from reinit_bench.core.rounds import Round

try:
    import lightning
except ImportError:
    print("skipped: Lightning is not installed (pip install lightning)")
    sys.exit(0)

STEPS = 100


class Classifier(lightning.LightningModule):
    """A net with a method; the method may change what the loss is."""

    def __init__(self, net: BlockNet, resets: Reinitialization) -> None:
        super().__init__()
        self.net, self.resets = net, resets

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        inputs, labels = batch
        loss = functional.cross_entropy(self.net(inputs), self.resets.hooks.targets(inputs, labels))
        penalty = self.resets.hooks.penalty(self.net)
        return loss if penalty is None else loss + penalty

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        inputs, labels = batch
        self.log("accuracy", (self.net(inputs).argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        # Called by every fit, so that each round has a new one: momentum of the last would pull at what was redrawn.
        return torch.optim.SGD(self.net.parameters(), lr=0.02, momentum=0.9)


class Resets(lightning.Callback):
    """Begins its round when training starts, and calls the hooks while it goes on.

    Without gradient accumulation: a batch is a step.
    """

    def __init__(self, resets: Reinitialization, round: Round) -> None:  # noqa: A002 (the paper's word)
        self.resets, self.round = resets, round

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.resets.begin(self.round)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.resets.hooks.before_step(pl_module.net)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.resets.hooks.after_step(pl_module.net)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.global_step < self.round.max_steps:  # another epoch follows
            self.resets.hooks.after_epoch(pl_module.net, trainer.optimizers[0])

    def state_dict(self) -> dict[str, Any]:
        return self.resets.state_dict()  # goes into Lightning's checkpoints

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.resets.load_state_dict(state_dict)


def digits() -> tuple[TensorDataset, TensorDataset]:
    """600 images of 8x8 pixels to train with and 300 to test with: inputs (n, 1, 8, 8) and labels (n,)."""
    pixels, classes = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    labels = torch.tensor(classes)
    return TensorDataset(images[:600], labels[:600]), TensorDataset(images[600:900], labels[600:900])


def build() -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
        nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Flatten(), nn.Linear(512, 64), nn.ReLU()),
        nn.Linear(64, 10),
    )


def main(method: str) -> None:
    lightning.seed_everything(0, verbose=False)
    train_set, test_set = digits()
    loader = DataLoader(train_set, batch_size=32, shuffle=True)
    net = BlockNet.wrap(build(), blocks=["0", "1", "2"])
    resets = Reinitialization(method, net, sample=train_set[:256], data=loader, initializer=build)
    classifier = Classifier(net, resets)
    print("round  block  steps  test accuracy")
    for round in resets.rounds(max_steps=STEPS):  # noqa: A001
        trainer = lightning.Trainer(
            max_steps=round.max_steps,
            callbacks=[Resets(resets, round)],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(classifier, loader)
        (tested,) = trainer.test(classifier, DataLoader(test_set, batch_size=300), verbose=False)
        print(f"{round.index:5}  {round.block:5}  {trainer.global_step:5}  {tested['accuracy']:13.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "lw")
