"""Tiny pipelines of diffusers with random weights, made on the spot."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer


#: Tokens of a prompt.
LENGTH = 32


def tiny_clip_tokenizer() -> CLIPTokenizer:
    """A tokenizer of single letters, which pads to a fixed length."""
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=LENGTH)


def tiny_stable_diffusion(kind: str = "StableDiffusionPipeline", seed: int = 0, **components: Any) -> Any:
    """Stable Diffusion for images of 16×16 pixels with [`LCMScheduler`], or another kind of the same parts."""
    import diffusers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = tiny_clip_tokenizer()
        text = {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": LENGTH}
        ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        config = CLIPTextConfig(vocab_size=len(tokenizer), hidden_size=8, intermediate_size=16, **text, **ends)
        parts = {
            "tokenizer": tokenizer,
            "text_encoder": CLIPTextModel(config),
            "unet": diffusers.UNet2DConditionModel(
                sample_size=8,
                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                block_out_channels=(8, 16),
                layers_per_block=1,
                norm_num_groups=4,
                cross_attention_dim=8,
                attention_head_dim=4,
            ),
            "vae": diffusers.AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 2,
                up_block_types=("UpDecoderBlock2D",) * 2,
                block_out_channels=(8, 8),
                norm_num_groups=4,
            ),
            "scheduler": diffusers.LCMScheduler(steps_offset=1),
            "safety_checker": None,
            "feature_extractor": None,
        }
        return getattr(diffusers, kind)(**parts | components, requires_safety_checker=False)


def tiny_consistency_model(num_classes: int | None = 2, seed: int = 0) -> Any:
    """A consistency model of classes for images of 16×16 pixels."""
    import diffusers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = diffusers.UNet2DModel(
            sample_size=16,
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            num_class_embeds=num_classes,
        )
    return diffusers.ConsistencyModelPipeline(unet, diffusers.CMStochasticIterativeScheduler())


def tiny_dit(num_classes: int = 2, seed: int = 0) -> Any:
    """A diffusion transformer of classes for images of 16×16 pixels."""
    import diffusers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = diffusers.DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=1,
            norm_num_groups=4,
            sample_size=8,
            patch_size=2,
            num_embeds_ada_norm=num_classes,
        )
        vae = tiny_stable_diffusion(seed=seed).vae
    return diffusers.DiTPipeline(transformer, vae, diffusers.DDIMScheduler())
