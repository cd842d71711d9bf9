import copy

import pytest
import torch
from lightly.loss import NTXentLoss

from galclr_utils.contrast import MoCo, Settings, SimCLR, build_loss, build_model
from galclr_utils.encoders import Encoder


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": 0}, r"temperature: got 0, expected a number in \(0, 5\]"),
        ({"method": "byol"}, "expected one of simclr, moco"),
        ({"encoder": "resnet50"}, "did you mean 'resnet18'"),
        ({"epochs": 1.5}, "whole number"),
        ({"batch_size": 1}, "batch_size: got 1"),
        ({"momentum": 1.5}, r"momentum: got 1.5, expected a number in \[0, 1\]"),
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
