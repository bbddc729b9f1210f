"""Dropout in the layers of a network whose weights are trained whole.

transformers' LLaMA has dropout for attention weights alone. Small networks that pass over the same
crystals many times learn them by heart without more of it.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from torch import nn

from crystext.errors import SettingError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BRANCHES = ("self_attn", "mlp")
"""What LLaMA and its kin call the two branches of a layer."""


def drop_in_layers(network: PreTrainedModel, share: float) -> None:
    """Set a share of what each branch of each layer adds to zero, while the network trains.

    Source: residual dropout, Vaswani et al., arXiv:1706.03762, section 5.4.

    Raises:
        SettingError: the network's layers have no branches of the known names.
    """

    def dropped(module: nn.Module, _: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (nn.functional.dropout(output[0], share, module.training), *output[1:])
        return nn.functional.dropout(output, share, module.training)

    branches: dict[str, list[nn.Module]] = {name: [] for name in _BRANCHES}
    for name, module in network.named_modules():
        if (last := name.split(".")[-1]) in branches:
            branches[last].append(module)
    if not all(branches.values()):
        raise SettingError(
            f"dropout: the layers of a {type(network).__name__} have no parts called "
            f"{' and '.join(_BRANCHES)}; expected a model built like LLaMA, or dropout: 0"
        )
    for module in chain(*branches.values()):
        module.register_forward_hook(dropped)
