import copy
import math

import pytest
import torch
from lightly.loss import NTXentLoss
from torch import nn

from galclr_utils.contrast import MoCo, SimCLR, build_loss, build_model
from galclr_utils.encoders import Encoder
from galclr_utils.recipe import Settings, bank_size, n_strangers


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": 0}, r"temperature: got 0, expected a number in \(0, 5\]"),
        ({"method": "byol"}, "expected one of simclr, moco"),
        ({"encoder": "resnet50"}, "did you mean 'resnet18'"),
        ({"epochs": 1.5}, "whole number"),
        ({"batch_size": 1}, "batch_size: got 1"),
        ({"momentum": 1.5}, r"momentum: got 1.5, expected a number in \[0, 1\]"),
        ({"hidden_dim": 0}, "hidden_dim: got 0"),
        ({"projection_dim": 1.5}, "projection_dim: got 1.5, expected a whole number"),
        ({"representation": "trainde"}, "did you mean 'trained'"),
        ({"devices": 0}, "devices: got 0"),
        ({"cuda_graphs": "perhaps"}, "expected true or false"),
    ],
)
def test_wrong_settings_are_told_apart(wrong, said):
    with pytest.raises(ValueError, match=said):
        Settings(**wrong)


def test_the_copy_of_moco_follows_slowly_and_learns_nothing_itself():
    model = MoCo(Encoder(), momentum=0.75)
    before = copy.deepcopy(model.key_head.state_dict())
    with torch.no_grad():
        for weight in model.head.parameters():
            weight += 1
    model(torch.rand(8, 3, 32, 32))
    for name, weight in model.key_head.state_dict().items():
        torch.testing.assert_close(weight, before[name] + 0.25)
    assert not any(p.requires_grad for p in model.key_encoder.parameters())


def test_moco_asks_queries_and_finds_keys():
    model, views = MoCo(Encoder()).train(), torch.rand(8, 3, 32, 32)
    h, z = model(views)
    assert h.shape == (4, 64) and z.shape == (8, 64)
    z[:4].sum().backward(retain_graph=True)
    assert model.head.layers[0].weight.grad.abs().sum() > 0
    model.zero_grad()
    z[4:].sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert not any(g.any() for g in gradients), "keys give no gradient"


def test_in_evaluation_moco_uses_its_network_for_all_views():
    model, views = MoCo(Encoder()).eval(), torch.rand(8, 3, 32, 32)
    h, z = model(views)
    assert h.shape == (8, 64)
    torch.testing.assert_close(z, model.head(model.encoder(views)))


def test_the_memory_bank_is_drawn_from_the_seed_and_never_larger_than_half_the_galaxies():
    torch.manual_seed(1)
    one = build_loss(Settings(method="moco"), 3000).memory_bank.bank
    torch.manual_seed(2)
    two = build_loss(Settings(method="moco"), 3000).memory_bank.bank
    assert torch.equal(one, two) and one.shape == (1500, 64)
    other = build_loss(Settings(method="moco", seed=1, memory_bank_size=10), 3000)
    assert other.memory_bank.bank.shape == (10, 64)


def test_simclr_has_lightlys_loss_and_no_memory():
    loss, z = build_loss(Settings(temperature=0.3), 100), torch.rand(8, 64)
    assert loss(*z.chunk(2)) == NTXentLoss(0.3)(*z.chunk(2))
    assert loss.memory_bank.size == (0,)


def test_the_method_chooses_the_network():
    assert type(build_model(Settings(), Encoder())) is SimCLR
    model = build_model(Settings(method="moco", momentum=0.5), Encoder())
    assert type(model) is MoCo and model.momentum == 0.5


@pytest.mark.parametrize("method", ["simclr", "moco"])
def test_the_widths_of_the_head_are_those_that_were_asked_for(method):
    settings = Settings(method=method, hidden_dim=32, projection_dim=16)
    model = build_model(settings, Encoder())
    assert [m.out_features for m in model.head.layers if isinstance(m, nn.Linear)] == [32, 16]
    if method == "moco":
        assert build_loss(settings, 1000).memory_bank.bank.shape == (500, 16)
    h, z = model(torch.rand(8, 3, 32, 32))
    assert z.shape == (8, 16) and h.shape[1] == 256


@pytest.mark.parametrize("method", ["simclr", "moco"])
def test_a_head_on_the_pooled_features_leaves_the_last_layer_alone(method):
    model = build_model(Settings(method=method, representation="principal"), Encoder())
    read, z = model(torch.rand(8, 3, 32, 32))
    assert read.shape[1] == 256
    z.square().sum().backward()
    silent = {name for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert not silent, "processes that train together wait for every gradient"
    assert all(p.grad is None for p in model.encoder.to_representation.parameters())
    assert model.encoder.trunk[0].weight.grad.abs().sum() > 0


def test_more_principal_components_than_pooled_features_are_refused():
    settings = Settings(representation="principal", representation_dim=300)
    with pytest.raises(ValueError, match="got 300, but cnn4 has 256 pooled features"):
        build_model(settings, Encoder(representation_dim=300))


def test_the_strangers_of_moco_are_those_in_its_bank_and_of_simclr_those_in_its_batch():
    for settings in (Settings(batch_size=8), Settings(method="moco", memory_bank_size=40)):
        loss = build_loss(settings, 1000)
        alike = torch.ones(16, 64, requires_grad=True)
        if settings.method == "moco":
            assert bank_size(settings, 1000) == 40
            loss.memory_bank.bank.fill_(1 / 8)  # of length 1, and like all others
        guessing = loss(*alike.chunk(2)).item()
        assert guessing == pytest.approx(math.log(n_strangers(settings, 1000) + 1), abs=1e-5)
    assert n_strangers(Settings(batch_size=256), 100) == 198, "no more than there are galaxies"


def test_the_loss_of_moco_is_the_surprise_of_the_query_among_the_remembered():
    settings = Settings(method="moco", memory_bank_size=40, temperature=0.3)
    loss, z = build_loss(settings, 1000), torch.randn(16, 64, requires_grad=True)
    bank = loss.memory_bank.bank.clone()
    queries, keys = torch.nn.functional.normalize(z, dim=1).chunk(2)
    scores = torch.cat([(queries * keys).sum(1, keepdim=True), queries @ bank.T], dim=1) / 0.3
    expected = -scores.log_softmax(dim=1)[:, 0].mean()
    torch.testing.assert_close(loss(*z.chunk(2)), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.memory_bank.bank[:8], keys.detach(), rtol=1e-4, atol=1e-5)
