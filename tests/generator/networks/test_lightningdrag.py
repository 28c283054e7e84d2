"""LightningDrag's networks against their specification, and the published files that fill them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from published_checkpoint import BASE, write_checkpoint, write_lora
from safetensors.torch import load_file, save_file
from torch import nn

from edgedrag.generator.networks.lightningdrag.attention import LayerConditioning
from edgedrag.generator.networks.lightningdrag.networks import AppearanceEncoder, Denoiser, ImagePrompt, Vae
from edgedrag.generator.networks.lightningdrag.points import PointNetwork
from edgedrag.generator.networks.lightningdrag.published import PublishedWeights
from edgedrag.generator.networks.lightningdrag.sizes import FULL, TINY
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights, Weights
from edgedrag.runtime.errors import InputError


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parts_have_the_published_sizes() -> None:
    with torch.device("meta"):
        denoiser, encoder, points = Denoiser(FULL), AppearanceEncoder(FULL), PointNetwork(FULL)
    adapter = sum(count(block.attn2.processor) for block in denoiser.blocks())
    assert adapter == 19_169_280 and count(denoiser) - adapter == 859_535_364
    assert count(encoder) == 857_066_560 and len(encoder.unet.state_dict()) == 662
    assert count(points.embedding) == 75_479_616 and count(points.adapters) == 5_622_528


def test_the_tiny_size_is_shallow_and_has_every_kind_of_part() -> None:
    """The tests export it several times, and an export takes as long as the networks have layers."""
    with torch.device("meta"):
        full, tiny = (
            (Denoiser(size), AppearanceEncoder(size), PointNetwork(size), ImagePrompt(size), Vae(size))
            for size in (FULL, TINY)
        )
    for size, denoiser in ((FULL, full[0]), (TINY, tiny[0])):
        widths = [block.attn1.to_q.in_features for block in denoiser.blocks()]
        assert widths == [size.layer_width(layer) for layer in range(len(size.layer_levels))]
    assert len(full[0].blocks()) == 16 and len(tiny[0].blocks()) == 4
    for wide, narrow in zip(full, tiny, strict=True):
        assert {type(m) for m in wide.modules()} == {type(m) for m in narrow.modules()}
        assert sum(1 for _ in narrow.modules()) < 350, type(narrow).__name__


@torch.no_grad()
def layer_conditioning(weights: Weights, points: bool = True) -> list[LayerConditioning]:
    denoiser, encoder = weights.denoiser(), weights.appearance_encoder()
    latent = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(1))
    keys, values = denoiser.project(encoder(latent, weights.prompt()))
    at = torch.zeros(1, 1, 64, 128)
    at[0, 0, 20, 30] = 1
    targets, handles = weights.point_network()(at, at.flip(-1))
    shown = 1.0 if points else 0.0
    rows = zip(keys, values, targets, handles)
    return [LayerConditioning(k, v, shown * t.flatten(1, 2), shown * h.flatten(1, 2)) for k, v, t, h in rows]


@torch.no_grad()
def answer(weights: Weights, layers: list[LayerConditioning]) -> torch.Tensor:
    x = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(2))
    tokens = torch.randn(1, 4, TINY.token_width, generator=torch.Generator().manual_seed(3))
    return weights.denoiser()(x, x[:, :1], x, tokens, layers, torch.tensor([500.0]))


@torch.no_grad()
def test_every_layer_depends_on_its_conditioning() -> None:
    weights = RandomWeights(TINY, 0)
    layers = layer_conditioning(weights)
    plain = answer(weights, layers)
    for layer in range(len(layers)):
        for field in ("value", "target", "handle"):
            changed = list(layers)
            changed[layer] = layers[layer]._replace(**{field: getattr(layers[layer], field) + 1})
            assert not torch.allclose(answer(weights, changed), plain, atol=1e-6), (layer, field)
    assert not torch.allclose(plain, answer(weights, layer_conditioning(weights, points=False)))


@torch.no_grad()
def test_points_start_at_zero_and_depend_on_the_seed_alone() -> None:
    network = RandomWeights(TINY, 4).point_network()
    at = torch.ones(1, 1, 64, 64)
    again = RandomWeights(TINY, 4).point_network()
    torch.testing.assert_close(network(at, at)[0][3], again(at, at)[0][3])
    network.zero_init()
    assert all(not part.any() for parts in network(at, at) for part in parts)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("published"))


@pytest.fixture
def own(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))


def parameters(weights: Weights) -> dict[str, torch.Tensor]:
    networks = (weights.denoiser(), weights.appearance_encoder(), weights.point_network(), weights.image_prompt())
    return {f"{i}.{k}": v for i, n in enumerate((*networks, weights.vae())) for k, v in n.state_dict().items()}


def test_published_files_fill_every_network(checkpoint: Path) -> None:
    expected, found = parameters(RandomWeights(TINY, 0)), parameters(PublishedWeights(checkpoint))
    assert expected.keys() == found.keys()
    for name in expected:
        assert torch.equal(expected[name], found[name]), name
    prompt = PublishedWeights(checkpoint).prompt()
    assert prompt.shape == (1, 77, TINY.token_width) and torch.isfinite(prompt).all()
    assert torch.equal(PublishedWeights(checkpoint).image_prompt().encoder.vision_model.embeddings.position_ids[0, :3],
                       torch.arange(3))  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_files_are_read_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    found = PublishedWeights(write_checkpoint(tmp_path / "half", dtype=dtype)).appearance_encoder().state_dict()
    for name, value in RandomWeights(TINY, 0).appearance_encoder().state_dict().items():
        assert found[name].dtype == torch.float32 and torch.equal(found[name], value.to(dtype).float())


def test_a_lora_is_fused_where_it_says(checkpoint: Path, tmp_path: Path) -> None:
    linear, conv = "up_blocks.3.attentions.0.transformer_blocks.0.attn1.to_k", "down_blocks.0.resnets.0.conv1"
    file = write_lora(tmp_path / "lora.safetensors", (linear, conv))
    plain, fused = PublishedWeights(checkpoint).denoiser().unet, PublishedWeights(checkpoint, file).denoiser().unet
    changed = {k for k, v in plain.state_dict().items() if not torch.equal(v, fused.state_dict()[k])}
    assert changed == {f"{linear}.weight", f"{conv}.weight"}
    parts = load_file(file)
    up, down = (parts[f"lora_unet_{linear.replace('.', '_')}.lora_{end}.weight"] for end in ("up", "down"))
    expected = plain.get_submodule(linear).weight + 0.5 * up @ down
    torch.testing.assert_close(fused.get_submodule(linear).weight, expected)
    with pytest.raises(InputError, match=r"another network.*\n  extra: nowhere"):
        save_file({"lora_unet_nowhere.lora_down.weight": torch.ones(1, 1),
                   "lora_unet_nowhere.lora_up.weight": torch.ones(1, 1)}, file)  # fmt: skip
        PublishedWeights(checkpoint, file)
    with pytest.raises(InputError, match="not a LoRA of a UNet; its key x"):
        save_file({"x": torch.ones(1)}, file)
        PublishedWeights(checkpoint, file)


def test_a_lora_may_be_a_folder(checkpoint: Path, tmp_path: Path) -> None:
    """Its file is found when the checkpoint is opened, so that the digest at the end of an export reads a file."""
    name = "up_blocks.3.attentions.0.transformer_blocks.0.attn1.to_k"
    file = write_lora(tmp_path / "pytorch_lora_weights.safetensors", (name,))
    assert PublishedWeights(checkpoint, tmp_path).digest() == PublishedWeights(checkpoint, file).digest()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty.pytorch_lora_weights\.safetensors: no such LoRA"):
        PublishedWeights(checkpoint, tmp_path / "empty")


UNET, DRAG = f"{BASE}/unet", "lightning-drag-sd15"


def change_config(folder: Path, **values: object) -> None:
    file = folder / UNET / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def change_keys(file: Path) -> None:
    tensors = load_file(file)
    tensors["stranger"] = tensors.pop("conv_in.bias")
    tensors["time_embedding.linear_1.bias"] = torch.zeros(3)
    tensors["time_embedding.linear_2.bias"] = tensors["time_embedding.linear_2.bias"].to(torch.int64)
    save_file(tensors, file)


class Opens:
    def __reduce__(self) -> tuple:
        return open, ("was-run", "w")


SPOILT = {
    "no LightningDrag": (lambda f: shutil.rmtree(f / DRAG), "not a LightningDrag checkpoint, it has no folder"),
    "no base": (lambda f: shutil.rmtree(f / BASE), "no folder holds unet/config.json"),
    "two bases": (lambda f: shutil.copytree(f / BASE, f / "other"), "dreamshaper-8-inpainting, other all hold"),
    "four channels": (lambda f: change_config(f, in_channels=4), "4 input channels, 9 are needed"),
    "SDXL": (lambda f: change_config(f, cross_attention_dim=2048), "an SDXL model"),
    "other widths": (lambda f: change_config(f, block_out_channels=[8, 8, 8, 8]), "are not Stable Diffusion 1.5's"),
    "no scheduler": (lambda f: shutil.rmtree(f / BASE / "scheduler"), "scheduler_config.json: not a model's config"),
    "no config": (lambda f: (f / UNET / "config.json").write_text("nonsense"), "not a model's config"),
    "no adapter": (lambda f: (f / "IP-Adapter/models/ip-adapter_sd15.bin").unlink(), "ip-adapter_sd15.bin: cannot be"),
    "no vision": (lambda f: shutil.rmtree(f / "IP-Adapter/models/image_encoder"), "image_encoder: no weights here"),
    "truncated": (
        lambda f: (f / UNET / "diffusion_pytorch_model.safetensors").open("r+b").truncate(200_000),
        "damaged or truncated",
    ),
    "a pickle with code": (
        lambda f: torch.save({"a": Opens()}, f / DRAG / "lightning-drag-sd15-attn.bin"),
        "would run code",
    ),
    "a pickle of something else": (
        lambda f: torch.save([1, 2], f / DRAG / "lightning-drag-sd15-attn.bin"),
        "no named tensors",
    ),
    "keys": (
        lambda f: change_keys(f / UNET / "diffusion_pytorch_model.safetensors"),
        r"4 keys do not fit the network:\n  missing: conv_in.bias\n  extra: stranger\n"
        r"  time_embedding.linear_1.bias: shape \[3\], not \[128\]\n  time_embedding.linear_2.bias: int64",
    ),
}


@pytest.mark.parametrize("case", sorted(SPOILT))
def test_what_is_no_checkpoint_is_refused_with_the_reason(
    own: Path, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, words = SPOILT[case]
    spoil(own)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        PublishedWeights(own)
    assert not (tmp_path / "was-run").exists()
