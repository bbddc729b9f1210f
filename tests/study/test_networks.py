"""Networks: their numbers of parameters as published, and sizes that match."""

from __future__ import annotations

import pytest
from torch import nn

from crystext.errors import SettingError
from crystext.models.architectures.network_families import FAMILIES, new_body, new_text_network
from crystext.models.architectures.regression_head import EncoderWithHead
from crystext.study.networks import (
    ARCHITECTURES,
    Architecture,
    Interface,
    NetworkSizes,
    count_parameters,
    match_sizes,
    network_settings,
)
from crystext.tokenization.new_tokenizers import new_tokenizer

PUBLISHED = Interface(vocabulary=591, max_tokens=512, n_targets=105)
SMALL = Interface(vocabulary=100, max_tokens=64, n_targets=105)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("parameters", [200_000, 1_500_000])
def test_a_width_is_found_for_a_number_of_parameters(
    architecture: Architecture, parameters: int
) -> None:
    sizes = match_sizes(architecture, parameters, SMALL)
    assert count_parameters(architecture, sizes, SMALL) == pytest.approx(parameters, rel=0.01)
    given = match_sizes(architecture, parameters, SMALL, heads=2, layers=4, intermediate_ratio=3)
    assert (given.heads, given.layers) == (2, 4)
    assert given.intermediate_size == pytest.approx(3 * given.hidden_size, rel=0.3)
    assert count_parameters(architecture, given, SMALL) == pytest.approx(parameters, rel=0.01)


def test_a_number_that_no_network_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"no bart .* the nearest has"):
        match_sizes("bart", 2_000, SMALL)


def test_half_of_barts_layers_are_in_the_encoder() -> None:
    sizes = NetworkSizes(hidden_size=16, intermediate_size=16, heads=2, layers=3)
    with pytest.raises(SettingError, match="expected an even number"):
        count_parameters("bart", sizes, SMALL)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_count_is_that_of_the_network_that_is_trained(architecture: Architecture) -> None:
    sizes = NetworkSizes(hidden_size=16, intermediate_size=24, heads=2, layers=2)
    tokenizer = new_tokenizer(["NaCl", "CsI"], "characters", 40)
    settings = network_settings(architecture, sizes, dropout=0.1)
    interface = Interface(len(tokenizer), 64, n_targets=105)
    body = new_body(tokenizer, settings, FAMILIES[architecture].pooling, 64, seed=0)
    head = EncoderWithHead(body, 105)
    assert count_parameters(architecture, sizes, interface) == _count(head)
    writer = new_text_network(tokenizer, settings, 64, seed=0)
    assert count_parameters(architecture, sizes, interface._replace(n_targets=0)) == _count(writer)
    assert settings.dropout == 0.1


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
