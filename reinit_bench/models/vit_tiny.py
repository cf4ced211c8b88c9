"""vit_tiny: the smallest usual vision transformer (Touvron et al. 2021, DeiT-Ti), for small images, K=12."""

from __future__ import annotations

from dataclasses import dataclass

from torchvision.models import VisionTransformer

from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.models.adapting import replace_dropouts, replace_head, replace_inputs
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Architecture
from reinit_bench.models.torchvision import wrapped

_LAYERS = 12
_HEADS = 3
_HEAD_UNITS = 64
_HIDDEN = 768


@dataclass(frozen=True, kw_only=True)
class VitTiny(Architecture):
    """torchvision's VisionTransformer of 12 encoder layers, each a block, of 3 x 64 channels and 768 hidden units.

    Patches, class token and positions belong to block 1; the last LayerNorm and the head are the top. Dropout is where
    torchvision has it: after the positions, the attention and each dense layer of an encoder layer.
    """

    patch_size: int = setting(4, least=1)
    """Pixels a side of a patch; must divide the image size."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        channels, height, width = self.image_shape(input_shape)
        if height % self.patch_size or width % self.patch_size:
            least = self.patch_size
            raise ConfigError(
                f"vit_tiny needs image_size of at least {least}, a multiple of model.patch_size={least}; got {height}"
            )
        model = VisionTransformer(
            image_size=height,
            patch_size=self.patch_size,
            num_layers=_LAYERS,
            num_heads=_HEADS,
            hidden_dim=_HEADS * self.channels(_HEAD_UNITS),
            mlp_dim=self.channels(_HIDDEN),
        )
        replace_inputs(model, channels)
        replace_dropouts(model, dropout_rate)
        replace_head(model, num_classes, 0.0)
        blocks = [f"encoder.layers.encoder_layer_{index}" for index in range(_LAYERS)]
        return wrapped(model, blocks, input_shape, self.label())

    def label(self) -> str:
        return "vit_tiny"
