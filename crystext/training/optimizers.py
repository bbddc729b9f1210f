"""Optimizers and the weights they update."""

from __future__ import annotations

import torch

from crystext.errors import SettingError
from crystext.training.recipe_sections import OptimSettings

_BETAS = (0.9, 0.95)


def make_optimizers(
    weights: dict[str, torch.nn.Parameter], optim: OptimSettings
) -> dict[str, torch.optim.Optimizer]:
    """Return optimizers by name; their learning rate is set at each step.

    `muon` (Jordan et al., 2024, kellerjordan.github.io/posts/muon) updates the weight matrices and
    leaves embeddings, output layer and norms to AdamW without decay. `paged_adamw_8bit` (Dettmers
    et al., arXiv:2110.02861) keeps its state in 8 bits, in memory that a GPU may page out.

    Raises:
        SettingError: bitsandbytes has no such optimizer for this machine.
    """
    rate, decay = optim.learning_rate, optim.weight_decay
    if optim.optimizer == "adamw":
        return {"adamw": torch.optim.AdamW(weights.values(), rate, _BETAS, weight_decay=decay)}
    if optim.optimizer == "paged_adamw_8bit":
        try:
            from bitsandbytes.optim.adamw import PagedAdamW8bit

            paged = PagedAdamW8bit(weights.values(), lr=rate, betas=_BETAS, weight_decay=decay)
        except (ImportError, RuntimeError, NotImplementedError) as error:
            raise SettingError(
                f"optim.optimizer paged_adamw_8bit does not work here: {error}; try adamw"
            ) from error
        return {"adamw": paged}
    matrices = [p for n, p in weights.items() if p.ndim == 2 and not _is_vocabulary(n)]
    others = [p for n, p in weights.items() if p.ndim != 2 or _is_vocabulary(n)]
    made: dict[str, torch.optim.Optimizer] = {}
    # In an adapter all weights are matrices, and torch rejects an optimizer without parameters.
    if matrices:
        made["muon"] = torch.optim.Muon(
            matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
        )
    if others:
        made["adamw"] = torch.optim.AdamW(others, rate, _BETAS, weight_decay=0.0)
    return made


def _is_vocabulary(name: str) -> bool:
    """Return whether a weight has a row for each token: the embeddings, or an output layer."""
    return "embed" in name or name.endswith("lm_head.weight")


def set_learning_rate(optimizers: dict[str, torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of all of them."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = rate
