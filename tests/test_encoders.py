import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from galclr_utils.encoders import Encoder, build_trunk, load_encoder, orient
from galclr_utils.normalize import Normalize


@pytest.mark.parametrize("name", ["cnn4", "cnn4-wide", "resnet18"])
@pytest.mark.parametrize("size", [32, 64])
def test_encoders_take_any_stamp_to_the_same_dimension(name, size):
    assert Encoder(name, 64)(torch.rand(2, 3, size, size)).shape == (2, 64)


def test_resnet_keeps_the_resolution_of_small_stamps():
    trunk, _ = build_trunk("resnet18")
    assert trunk.conv1.kernel_size == (3, 3) and trunk.conv1.stride == (1, 1)
    assert trunk.layer1(trunk.conv1(torch.rand(1, 3, 32, 32))).shape[-1] == 32


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(99)
    one = Encoder(seed=1).state_dict()
    torch.manual_seed(7)
    same, other = Encoder(seed=1).state_dict(), Encoder(seed=2).state_dict()
    name = "to_representation.weight"
    assert torch.equal(one[name], same[name]) and not torch.equal(one[name], other[name])


def test_building_an_encoder_does_not_touch_the_global_generator():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    Encoder(seed=3)
    assert torch.equal(torch.rand(1), expected)


def test_eight_orientations_make_h_blind_to_orientation():
    stamps = np.random.default_rng(0).random((4, 3, 32, 32), dtype="f4")
    turned = np.rot90(stamps, 1, (2, 3))[..., ::-1].copy()
    encoder = Encoder(seed=0)
    np.testing.assert_allclose(encoder.embed(stamps), encoder.embed(turned), atol=1e-5)
    apart = np.abs(encoder.embed(stamps, orientations=1) - encoder.embed(turned, orientations=1))
    assert apart.max() > 1e-4


def test_the_eight_orientations_differ():
    stamp = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert len({tuple(v.flatten().tolist()) for v in orient(stamp, 8)}) == 8


def test_embedding_does_not_depend_on_the_batch_size_or_dtype():
    stamps = np.random.default_rng(0).random((10, 3, 32, 32)).astype(np.float16)
    encoder = Encoder(seed=0)
    np.testing.assert_allclose(
        encoder.embed(stamps, batch_size=3), encoder.embed(stamps.astype("f4")), atol=1e-5
    )


def test_pooled_features_are_wider():
    stamps = np.zeros((2, 3, 32, 32), "f4")
    assert Encoder().embed(stamps, pooled=True).shape == (2, 256)
    assert Encoder().embed(stamps[:0]).shape == (0, 64)


def test_a_saved_encoder_brings_its_normalisation(tmp_path):
    normalize = Normalize("asinh", softening=0.1, low=-0.2, high=7.0)
    encoder = Encoder("cnn4", 16, normalize, seed=4).eval()
    stamps = np.random.default_rng(0).normal(0, 1, (5, 3, 32, 32)).astype("f4")
    loaded = load_encoder(encoder.save(tmp_path / "encoder.pt"))
    assert loaded.normalize.settings == normalize.settings
    np.testing.assert_array_equal(loaded.embed(stamps), encoder.embed(stamps))


def test_a_file_that_is_no_encoder_is_refused(tmp_path):
    for name, content in {"empty": b"", "text": b"not a zip", "half": b"PK\x03\x04rubbish"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="expected an encoder"):
            load_encoder(tmp_path / name)
    with pytest.raises(ValueError, match="expected an encoder"):
        load_encoder(tmp_path / "missing.pt")


def test_a_pickle_with_code_is_refused(tmp_path):
    torch.save({"encoder": print}, tmp_path / "encoder.pt")
    with pytest.raises(ValueError, match="expected an encoder"):
        load_encoder(tmp_path / "encoder.pt")


def test_wrong_band_order_is_refused():
    with pytest.raises(ValueError, match=r"got shape \(2, 32, 32, 3\), expected \(N, 3, H, W\)"):
        Encoder().embed(np.zeros((2, 32, 32, 3), "f4"))


def test_batch_norm_statistics_come_from_the_images():
    stamps = 5 + np.random.default_rng(0).normal(0, 1, (64, 3, 32, 32)).astype("f4")
    encoder = Encoder(normalize=Normalize("asinh", softening=1, low=0, high=10), seed=0)
    weights = encoder.trunk[0].weight.clone()
    encoder.calibrate_batch_norm(stamps)
    assert torch.equal(encoder.trunk[0].weight, weights)
    with torch.inference_mode():
        out = encoder.trunk[:2](encoder.normalize(torch.from_numpy(stamps)))
    assert abs(out.mean().item()) < 0.05 and abs(out.std().item() - 1) < 0.1


def test_the_wide_encoder_has_half_as_many_channels_again():
    narrow, wide = (build_trunk(name)[0] for name in ("cnn4", "cnn4-wide"))
    channels = [[m.out_channels for m in t if hasattr(m, "out_channels")] for t in (narrow, wide)]
    assert channels[1] == [c * 3 // 2 for c in channels[0]] == [48, 96, 192, 384]


def test_principal_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    stamps = np.random.default_rng(0).random((60, 3, 32, 32), dtype="f4")
    encoder = Encoder(representation_dim=8, seed=3)
    pooled = encoder.embed(stamps[:40], pooled=True)
    h = encoder.set_principal(stamps[:40]).embed(stamps)
    expected = PCA(8).fit(pooled).transform(encoder.embed(stamps, pooled=True))
    np.testing.assert_allclose(np.abs(h), np.abs(expected), atol=1e-4)
    again = Encoder(representation_dim=8, seed=3).set_principal(stamps[:40])
    assert torch.equal(again.to_representation.weight, encoder.to_representation.weight)
    largest = encoder.to_representation.weight.abs().argmax(dim=1, keepdim=True)
    assert (encoder.to_representation.weight.gather(1, largest) > 0).all(), "the sign is settled"


def test_all_principal_components_together_keep_every_distance():
    stamps = np.random.default_rng(0).random((30, 3, 32, 32), dtype="f4")
    encoder = Encoder(representation_dim=256).set_principal(stamps)
    h, pooled = encoder.embed(stamps), encoder.embed(stamps, pooled=True)
    apart = [np.linalg.norm(x[:1] - x[1:], axis=1) for x in (h, pooled)]
    np.testing.assert_allclose(*apart, rtol=1e-3)


def test_principal_components_are_the_same_on_any_number_of_cores():
    stamps = np.random.default_rng(0).random((200, 3, 16, 16), dtype="f4")
    made = []
    for cores in (1, 2):
        with threadpool_limits(cores, user_api="blas"):
            made.append(Encoder(representation_dim=64).set_principal(stamps, 1).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
