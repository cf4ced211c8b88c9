"""Any of torchvision's classifiers, by its name there; its blocks are submodules of it (`BlockNet.wrap`)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.ops import StochasticDepth

from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.models.adapting import (
    narrow,
    replace_all,
    replace_dropouts,
    replace_head,
    replace_inputs,
    replace_norms,
)
from reinit_bench.models.blocknet import BlockNet, WrappedNet
from reinit_bench.models.layers import Architecture

WITH_WIDTH = (
    models.ResNet,
    models.VGG,
    models.AlexNet,
    models.MobileNetV2,
    models.MobileNetV3,
    models.EfficientNet,
    models.MNASNet,
)
"""The families of which every layer can be narrower; a resnext's groups cannot."""

UNIT = re.compile(
    "BasicBlock|(Res)?Bottleneck(Block)?|_?InvertedResidual|(Fused)?MBConv|CNBlock|EncoderBlock"
    "|SwinTransformerBlock(V2)?|MaxVitLayer|_DenseBlock|Fire|Inception[A-E]?"
)
"""The classes of what the families repeat, in torchvision's words: each is a block."""


@dataclass(frozen=True, kw_only=True)
class TorchvisionNet(Architecture):
    """A classifier of torchvision's, with a head for the classes at hand; a gray image has its one channel.

    Block 1 begins at the input: the stem belongs to it. `dropout.rate` is that of every dropout layer of the
    architecture, or of one before the head where it has none; its stochastic depth and auxiliary heads are left out.
    Initial values are the initializer's, also where torchvision has rules of its own.

    Raises:
        ConfigError: torchvision has no such architecture or weights, or a setting does not fit the architecture.
    """

    arch: str = "resnet18"
    """Its name in torchvision, as in `torchvision.models.list_models(module=torchvision.models)`."""
    blocks: Sequence[str] | None = None
    """Names of submodules, bottom first, each a block; null: the family's repeated units, or vgg's convolutions."""
    stem: str = setting("own", choices=("own", "small"))
    """small: of a resnet, a 3x3 convolution of stride 1 and no pooling, for images of 32 pixels."""
    norm: str = setting("group", choices=("group", "batch", "none"))
    """What every BatchNorm becomes: the paper's GroupNorm with one group, BatchNorm, none. LayerNorms stay."""
    norm_epsilon: float | None = setting(None, above=0)
    """Added to the variance in place of every BatchNorm; null: the architecture's own."""
    weights: str | None = None
    """Pretrained weights, e.g. DEFAULT, which are downloaded once; the initializer then draws the head alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = models.list_models(module=models)
        if self.arch not in known:
            raise ConfigError(f"torchvision has no classifier {self.arch!r}; {_hint(self.arch, known)}")
        if self.blocks is not None:
            if not isinstance(self.blocks, (list, tuple)) or not all(isinstance(name, str) for name in self.blocks):
                raise ConfigError(f"model.blocks must be a list of submodules' names, or null; got {self.blocks!r}")
            object.__setattr__(self, "blocks", tuple(self.blocks))
        if self.weights is not None:
            names = list(models.get_model_weights(self.arch).__members__)
            if self.weights not in names:
                raise ConfigError(f"{self.arch} has no weights {self.weights!r}; {_hint(self.weights, names)}")
            for name in ("stem", "width"):
                if getattr(self, name) != getattr(TorchvisionNet, name):
                    raise ConfigError(f"model.{name}={getattr(self, name)} does not go with model.weights")

    def label(self) -> str:
        return self.arch

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        channels, height, width = self.image_shape(input_shape)
        model = self._made(height, width)
        self._adapt(model)
        replace_inputs(model, channels)
        head = replace_head(model, num_classes, 0.0 if replace_dropouts(model, dropout_rate) else dropout_rate)
        net = wrapped(model, self.blocks or default_blocks(model, self.arch), input_shape, self.arch)
        if self.weights is not None:
            if channels not in (1, 3):
                raise ConfigError(f"model.weights are for images of 3 channels, or 1; the dataset gives {channels}")
            drawn = f"model.{head}."
            net.pretrained = frozenset(name for name, _ in net.named_parameters() if not name.startswith(drawn))
        return net

    def _made(self, height: int, width: int) -> nn.Module:
        """The architecture as torchvision makes it, in training for 1000 classes and 3 channels."""
        options: dict[str, Any] = {"weights": self.weights, "progress": False}
        if self.arch in ("googlenet", "inception_v3"):
            options |= {"init_weights": False}
        if self.arch.startswith("vit_"):
            options |= {"image_size": height}
        if self.arch.startswith("maxvit_"):
            options |= {"input_size": (height, width)}
        try:
            model: nn.Module = models.get_model(self.arch, **options)
        except OSError as error:
            url = models.get_model_weights(self.arch)[str(self.weights)].url
            raise ConfigError(
                f"model.weights={self.weights} cannot be downloaded ({error}); put {url} into "
                f"{torch.hub.get_dir()}/checkpoints"
            ) from error
        except (ValueError, AssertionError) as error:
            raise _unfit(self.arch, (height, width), error) from error
        for name in ("aux1", "aux2", "AuxLogits"):
            if getattr(model, name, None) is not None:
                setattr(model, name, None)
        for name in ("aux_logits", "transform_input"):
            if hasattr(model, name):
                setattr(model, name, False)
        replace_all(model, StochasticDepth, lambda _: nn.Identity())
        return model

    def _adapt(self, model: nn.Module) -> None:
        """Set the width, the stem and the norms."""
        if self.width != 1.0:
            if not isinstance(model, WITH_WIDTH) or self.arch.startswith("resnext"):
                raise ConfigError(f"{self.arch} has no width; model.width must be 1, got {self.width:g}")
            narrow(model, self.channels)
        if self.stem == "small":
            if not isinstance(model, models.ResNet):
                raise ConfigError(f"model.stem=small is for the resnets; {self.arch} has its own")
            model.conv1 = nn.Conv2d(3, model.conv1.out_channels, 3, padding=1, bias=False)
            model.maxpool = nn.Identity()
        count = replace_norms(model, self.norm, self.norm_epsilon)
        if count and self.weights is not None and self.norm != "batch":
            raise ConfigError(f"the weights of {self.arch} are for BatchNorm; set model.norm=batch")
        if not count and (self.norm, self.norm_epsilon) != ("group", None):
            raise ConfigError(f"{self.arch} has no BatchNorm; leave model.norm=group and model.norm_epsilon=null")


def wrapped(model: nn.Module, blocks: Sequence[str], input_shape: tuple[int, ...], label: str) -> WrappedNet:
    """`BlockNet.wrap`, with two black images as the sample.

    Raises:
        ConfigError: these cannot be the blocks, or the network does not accept images of this size.
    """
    try:
        return BlockNet.wrap(model, blocks, sample=torch.zeros(2, *input_shape))
    except ConfigError as error:
        raise ConfigError(f"model.blocks: {error}") from error
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _unfit(label, input_shape[1:], error) from error


def default_blocks(model: nn.Module, arch: str) -> list[str]:
    """The blocks where none are named, bottom first.

    They are what the family repeats, the convolutions of an alexnet or vgg (each with its norm, ReLU and pooling). What
    follows the last one up to the pooling belongs to it.
    """
    units: list[str] = []
    for name, module in model.named_modules():
        if UNIT.fullmatch(type(module).__name__) and not (units and name.startswith(f"{units[-1]}.")):
            units.append(name)
    features = getattr(model, "features", getattr(model, "layers", None))
    if not units and isinstance(features, nn.Sequential):
        return [f"features.{index - 1}" for index in _convolutions(features)[1:]] + [f"features.{len(features) - 1}"]
    if not units:
        raise ConfigError(f"{arch} is of no family that is known here: name its blocks in model.blocks")
    last = units[-1]
    if isinstance(features, nn.Sequential):
        *_, final = (f"{last.partition('.')[0]}.{name}" for name, _ in features.named_children())
        return units if f"{last}.".startswith(f"{final}.") else [*units[:-1], final]
    return [*units[:-1], "conv5"] if hasattr(model, "conv5") else units


def _convolutions(features: nn.Sequential) -> list[int]:
    """The convolutions' positions."""
    return [index for index, layer in enumerate(features) if isinstance(layer, nn.Conv2d)]


def _hint(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), cutoff=0.4)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"


def _unfit(label: str, size: tuple[int, ...], error: Exception) -> ConfigError:
    reason = " ".join(str(error).split())
    return ConfigError(f"{label} does not accept images of {'x'.join(map(str, size))} pixels: {reason}")
