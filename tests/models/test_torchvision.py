"""torchvision's classifiers: their blocks, what is adapted, what is refused, and pretrained weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from bits import bit_equal
from factories import tiny_experiment
from observers import LossRecorder
from torch import nn
from torchvision import models

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import load_task
from reinit_bench.models.adapting import Head
from reinit_bench.models.blocknet import Dropout, WrappedNet
from reinit_bench.models.initializers import HeNormal, initial_values
from reinit_bench.models.layers import BatchNorm, Norm
from reinit_bench.models.parameters import frobenius, kernel_names
from reinit_bench.models.resnet18 import ResNet18
from reinit_bench.models.torchvision import TorchvisionNet
from reinit_bench.models.vit_tiny import VitTiny
from reinit_bench.run.experiment import Assembly, Components, assemble, run_experiment

BLOCKS = {
    "alexnet": (5, "features.2", "features.12"),
    "convnext_tiny": (18, "features.1.0", "features.7.2"),
    "densenet121": (4, "features.denseblock1", "features.norm5"),
    "efficientnet_b0": (16, "features.1.0", "features.8"),
    "efficientnet_v2_s": (40, "features.1.0", "features.7"),
    "googlenet": (9, "inception3a", "inception5b"),
    "inception_v3": (11, "Mixed_5b", "Mixed_7c"),
    "maxvit_t": (11, "blocks.0.layers.0", "blocks.3.layers.1"),
    "mnasnet1_0": (16, "layers.8.0", "layers.16"),
    "mobilenet_v2": (17, "features.1", "features.18"),
    "mobilenet_v3_small": (11, "features.1", "features.12"),
    "resnet18": (8, "layer1.0", "layer4.1"),
    "resnet50": (16, "layer1.0", "layer4.2"),
    "resnext50_32x4d": (16, "layer1.0", "layer4.2"),
    "shufflenet_v2_x0_5": (16, "stage2.0", "conv5"),
    "squeezenet1_1": (8, "features.3", "features.12"),
    "swin_t": (12, "features.1.0", "features.7.1"),
    "swin_v2_t": (12, "features.1.0", "features.7.1"),
    "vgg11": (8, "features.2", "features.20"),
    "vgg16_bn": (13, "features.2", "features.43"),
    "vit_b_16": (12, "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_11"),
}
"""By architecture: K, the first block and the last."""


def on_meta(
    arch: str, size: int = 224, channels: int = 3, classes: int = 1000, rate: float = 0.0, **fields: Any
) -> Any:
    with torch.device("meta"):
        return TorchvisionNet(arch=arch, **fields).build((channels, size, size), classes, rate)


def own(names: Any) -> set[str]:
    return {name.removeprefix("model.") for name in names}


@pytest.mark.parametrize("arch", BLOCKS)
def test_the_blocks_of_each_family(arch: str) -> None:
    net = on_meta(arch, size=299 if arch == "inception_v3" else 224)
    assert (net.num_blocks, net.block_names[0], net.block_names[-1]) == BLOCKS[arch]
    assert [len(net.get_parameter(name)) for name in net.names_in_head()] == [1000, 1000]
    assert set(net.names_in_head()) <= set(net.names_in_top())
    assert all(net.names_in_blocks(k, k) for k in range(1, net.num_blocks + 1))
    assert not net.constructed, "every parameter of torchvision's is known to the initializers"


def test_every_architecture_has_blocks_by_default() -> None:
    regnet = TorchvisionNet(arch="regnet_x_400mf").build((3, 32, 32), 10, 0.0)  # which cannot be built without memory
    assert (regnet.num_blocks, regnet.block_names[-1]) == (22, "trunk_output.block4.block4-11")
    known = set(models.list_models(module=models))
    families = {re.match(r"[a-z]+", name)[0] for name in known}
    assert families == {re.match(r"[a-z]+", name)[0] for name in (*BLOCKS, "regnet_x_400mf", "wide_resnet50_2")}


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
def test_norms(norm: str) -> None:
    net = on_meta("mobilenet_v3_small", norm=norm)
    kinds = {
        type(layer) for layer in net.modules() if isinstance(layer, (nn.GroupNorm, nn.modules.batchnorm._BatchNorm))
    }
    assert kinds == {"group": {Norm}, "batch": {BatchNorm}, "none": set()}[norm]
    biased = {layer.bias is not None for layer in net.modules() if isinstance(layer, nn.Conv2d)}
    assert biased == ({True} if norm == "none" else {True, False})  # those of squeeze and excitation have one anyway
    if norm != "none":
        assert {layer.eps for layer in net.modules() if isinstance(layer, (Norm, BatchNorm))} == {1e-3}
    if norm == "batch":
        assert {layer.momentum for layer in net.modules() if isinstance(layer, BatchNorm)} == {0.01}


@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "vgg11_bn", "alexnet", "mobilenet_v2", "mobilenet_v3_small"])
def test_width_multiplies_every_number_of_channels(arch: str) -> None:
    half, whole = (dict(on_meta(arch, width=width, norm="group").named_parameters()) for width in (0.5, 1.0))
    assert half.keys() == whole.keys()
    for name, value in whole.items():
        if value.dim() < 2 and len(value) != 1000:
            assert len(half[name]) == len(value) / 2, name
    kernels = [(half[name].shape[:2], value.shape[:2]) for name, value in whole.items() if value.dim() >= 2]
    first, last = kernels[0], kernels[-1]
    assert (first[0][1], first[1][1], last[0][0], last[1][0]) == (3, 3, 1000, 1000)
    assert all(a[1] * 2 == b[1] or b[1] == 1 for a, b in kernels[1:])
    assert all(a[0] * 2 == b[0] for a, b in kernels[:-1])


def test_dropout_is_everywhere_the_architecture_has_it_else_before_the_head() -> None:
    resnet, vit, efficient = on_meta("resnet18", rate=0.25), on_meta("vit_b_16", rate=0.25), on_meta("efficientnet_b0")
    assert isinstance(resnet.model.fc, Head)
    assert [sum(isinstance(layer, Dropout) for layer in net.modules()) for net in (resnet, vit)] == [1, 1 + 12 * 3]
    assert {layer.rate for layer in vit.modules() if isinstance(layer, Dropout)} == {0.25}
    assert not [
        layer for layer in efficient.modules() if isinstance(layer, (nn.Dropout, models.efficientnet.StochasticDepth))
    ]


@pytest.mark.parametrize("arch", ["convnext_tiny", "swin_t", "googlenet", "densenet121", "regnet_x_400mf"])
def test_training_draws_nothing_from_torchs_generator(arch: str) -> None:
    net = TorchvisionNet(arch=arch).build((3, 32, 32), 3, 0.5)
    for layer in net.modules():
        if isinstance(layer, Dropout):
            layer.generator = torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    assert net(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))).shape == (2, 3)
    assert torch.equal(torch.get_rng_state(), before)


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"arch": "resnet81"}, 32, "torchvision has no classifier 'resnet81'; did you mean resnet18 or "),
    ({"arch": "fcn_resnet50"}, 32, "torchvision has no classifier 'fcn_resnet50'; did you mean "),
    ({"blocks": ["layer1.0", "layer1.2"]}, 32, "model.blocks: the network has no submodule 'layer1.2'; did you mean "),
    ({"blocks": ["layer2", "layer1"]}, 32, "model.blocks: the forward pass calls the blocks in another order: name th"),
    ({"blocks": "layer1"}, 32, "model.blocks must be a list of submodules' names, or null; got 'layer1'"),
    ({"arch": "vgg11", "stem": "small"}, 32, "model.stem=small is for the resnets; vgg11 has its own"),
    ({"arch": "vgg11", "norm": "batch"}, 32, "vgg11 has no BatchNorm; leave model.norm=group and model.norm_epsilon=n"),
    ({"arch": "vit_b_16", "norm_epsilon": 0.1}, 32, "vit_b_16 has no BatchNorm; leave model.norm=group"),
    ({"arch": "densenet121", "width": 0.5}, 32, "densenet121 has no width; model.width must be 1, got 0.5"),
    ({"arch": "resnext50_32x4d", "width": 0.5}, 32, "resnext50_32x4d has no width"),
    ({"arch": "alexnet"}, 32, "alexnet does not accept images of 32x32 pixels: "),
    ({"arch": "vit_b_16"}, 30, "vit_b_16 does not accept images of 30x30 pixels: Input shape indivisible by patch"),
    ({"arch": "maxvit_t"}, 32, "maxvit_t does not accept images of 32x32 pixels: "),
    ({"weights": "IMAGENET1K_V3"}, 32, "resnet18 has no weights 'IMAGENET1K_V3'; did you mean IMAGENET1K_V1?"),
    ({"weights": "DEFAULT", "stem": "small"}, 32, "model.stem=small does not go with model.weights"),
    ({"weights": "DEFAULT", "width": 0.5}, 32, "model.width=0.5 does not go with model.weights"),
    ({"arch": "vit_b_16", "weights": "DEFAULT"}, 32, "vit_b_16 does not accept images of 32x32 pixels: The parameter"),
]


@pytest.mark.parametrize(("fields", "size", "message"), REFUSED)
def test_what_does_not_go_is_refused_in_one_line(fields: dict[str, Any], size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as caught:
        on_meta(**{"arch": "resnet18", **fields}, size=size)
    assert "\n" not in str(caught.value)


def test_a_vit_tiny_takes_multiples_of_its_patches() -> None:
    for size in (3, 30):
        message = rf"^vit_tiny needs image_size of at least 4, a multiple of model.patch_size=4; got {size}$"
        with pytest.raises(ConfigError, match=message):
            VitTiny().build((3, size, size), 10, 0.0)


LOOSE = {
    "vit_b_16": {"class_token", "encoder.pos_embedding"},
    "convnext_tiny": {
        f"features.{stage}.{n}.layer_scale" for stage, count in ((1, 3), (3, 3), (5, 9), (7, 3)) for n in range(count)
    },
    "swin_t": {
        f"features.{stage}.{n}.attn.relative_position_bias_table"
        for stage, count in ((1, 2), (3, 2), (5, 6), (7, 2))
        for n in range(count)
    },
}


@pytest.mark.parametrize("arch", LOOSE)
def test_tokens_and_tables_are_no_kernels(arch: str) -> None:
    net = on_meta(arch)
    flat = {name for name, value in net.named_parameters() if value.dim() >= 2}
    assert own(flat - set(kernel_names(net))) == LOOSE[arch]


def test_fresh_tokens_and_tables() -> None:
    net = VitTiny().build((3, 32, 32), 10, 0.0)
    names = [f"model.{name}" for name in ("class_token", "encoder.pos_embedding", "encoder.ln.weight")]
    token, positions, scale = initial_values(net, HeNormal(), names, 0, "initialize").values()
    assert (token.shape, token.abs().max().item(), scale.min().item()) == ((1, 1, 192), 0.0, 1.0)
    assert positions.shape == (1, 65, 192)
    assert positions.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["resnet18", "vit_tiny"])
def test_compiled_or_not_it_trains_alike(model: str, tmp_path: Path) -> None:
    """With lambda layers that are filled between two rounds."""
    sizes = ("model.width=0.0625", "trainer.batch_size=27", "trainer.max_steps=2", "trainer.validation_fraction=0.1")
    experiment = tiny_experiment(f"model={model}", "method=lw", "method.schedule=[1,2,3]", *sizes)
    losses = []
    for compiled in ("none", "eager"):
        recorder = LossRecorder()
        execution = Execution(results_dir=tmp_path / compiled, device="cpu", compile=compiled, diagnostics=False)
        run_experiment(experiment, execution, observer=recorder)
        losses.append(recorder.epochs)
    assert len(losses[0]) == 3
    for plain, compiled in zip(*losses, strict=True):
        assert compiled == pytest.approx(plain, rel=1e-3)


SMALL = "shufflenet_v2_x0_5"


def fine_tuned(*overrides: str) -> Experiment:
    sizes = ("model.norm=batch", "model.weights=DEFAULT", "model.width=1", "image_size=32", "trainer.max_steps=2")
    return tiny_experiment("model=torchvision", f"model.arch={SMALL}", *sizes, *overrides)


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """What torchvision would download."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        state = models.get_model(SMALL).state_dict()
    state = {name: value + 1 if "running" in name else value for name, value in state.items()}
    monkeypatch.setattr(models._api, "load_state_dict_from_url", lambda *args, **kwargs: state)
    return state


def assembly(experiment: Experiment) -> Assembly:
    components = Components.of(experiment, Execution(device="cpu"))
    return assemble(components, experiment, load_task(experiment, torch.device("cpu")))


def test_pretrained_weights_are_the_initial_values_and_the_head_is_drawn(weights: dict[str, torch.Tensor]) -> None:
    run = assembly(fine_tuned())
    assert isinstance(run.net, WrappedNet)
    drawn = initial_values(run.net, run.components.initializer, run.net.names_in_head(), 0, "initialize")
    assert drawn["model.fc.weight"].shape == (10, 1024)
    initial = run.context(Round(index=1, block=0, repeat=1, max_steps=1)).initial()
    assert initial.keys() == dict(run.net.named_parameters()).keys()
    for name, value in run.net.named_parameters():
        key = name.removeprefix("model.")
        expected = drawn.get(name, weights[key])
        if key == "conv1.0.weight":  # the digits are gray
            expected = weights[key].sum(1, keepdim=True)
        assert bit_equal(
            value.detach(), expected.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else expected
        ), name
        assert torch.equal(initial[name], value), name
    assert all(run.initial_norms[name] == frobenius(run.net.get_parameter(name)) for name in run.initial_norms)
    for name, value in run.net.named_buffers():
        if name.startswith("model."):
            assert torch.equal(value, weights[name.removeprefix("model.")]), name


def test_pretrained_weights_keep_their_norms(weights: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ConfigError, match=rf"^the weights of {SMALL} are for BatchNorm; set model\.norm=batch$"):
        TorchvisionNet(arch=SMALL, weights="DEFAULT").build((3, 32, 32), 10, 0.0)
    with pytest.raises(ConfigError, match=r"^model\.weights are for images of 3 channels, or 1; the dataset gives 4$"):
        TorchvisionNet(arch=SMALL, norm="batch", weights="DEFAULT").build((4, 32, 32), 10, 0.0)


def test_without_a_network_one_line_says_where_to_put_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*args: Any, **kwargs: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(models._api, "load_state_dict_from_url", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        ResNet18(weights="DEFAULT", norm="batch").build((3, 32, 32), 10, 0.0)
    assert str(caught.value) == (
        "model.weights=DEFAULT cannot be downloaded (<urlopen error no network>); put "
        f"https://download.pytorch.org/models/resnet18-f37072fd.pth into {tmp_path}/hub/checkpoints"
    )
