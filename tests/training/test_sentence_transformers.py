"""The mixin over the trainer of Sentence Transformers, whose loader, loss and checkpoints are its own."""

from dataclasses import dataclass

import pytest
import torch
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import BatchAllTripletLoss
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import BertConfig, BertModel

from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.mixin import AugmentingMixin
from tests.tiny import tiny_tokenizer
from tests.toys import TEXT
from tests.training.test_mixin import assert_equal_to_the_parent, assert_learns_and_resumes


@dataclass
class Arguments(AugmentationArguments, SentenceTransformerTrainingArguments):
    pass


class AugmentingSentenceTransformerTrainer(AugmentingMixin, SentenceTransformerTrainer):
    pass


def bert(folder):
    """A tiny BERT on disk, from which the library builds a model for sentences."""
    if not folder.exists():
        tokenizer = tiny_tokenizer()
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def build(kind, output_dir, generator=None, **options):
    words = Transformer(bert(output_dir.parent / "bert"), max_seq_length=32)
    model = SentenceTransformer(modules=[words, Pooling(16)], device="cpu")
    defaults = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False}
    defaults |= {"per_device_train_batch_size": 4, "max_steps": 8, "save_steps": 4, "seed": 1, "learning_rate": 1e-2}
    args = Arguments(str(output_dir), **defaults | {"synthetic_shard_size": 8} | options)
    blend = {} if generator is None else {"generator": generator}
    return kind(model=model, args=args, train_dataset=TEXT.rows(24), loss=BatchAllTripletLoss(model), **blend)


KINDS = (SentenceTransformerTrainer, AugmentingSentenceTransformerTrainer)


@pytest.mark.parametrize("with_generator", [False, True])
def test_without_generator_or_at_ratio_0_the_parent_s_weights_come_out_bit_for_bit(tmp_path, with_generator):
    assert_equal_to_the_parent(tmp_path, build, *KINDS, {"generator": TEXT.generator()} if with_generator else {})


def test_it_learns_from_what_is_made_and_resumes_exactly(tmp_path):
    assert_learns_and_resumes(tmp_path, build, KINDS[1], lambda: {"generator": TEXT.generator()})


def test_batches_that_another_sampler_puts_together_are_refused(tmp_path):
    trainer = build(KINDS[1], tmp_path / "a", TEXT.generator(), batch_sampler="no_duplicates")
    with pytest.raises(ValueError, match="put together by NoDuplicatesBatchSampler"):
        trainer.train()
