"""The Trainer that blends."""

from __future__ import annotations

from transformers import Trainer

from hf_augment.training.mixin import AugmentingMixin


class AugmentingTrainer(AugmentingMixin, Trainer):
    """
    A [`~transformers.Trainer`] whose training batches blend the dataset with examples from a generator.

    Without a generator, or with `synthetic_ratio=0`, it is the stock `Trainer`, bit for bit. A run that was
    interrupted goes on to the same weights, with random transforms and collators in any worker.

    Example:

    ```python
    from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, CausalLMGenerator, NearDuplicates

    trainer = AugmentingTrainer(
        model=model,
        args=AugmentingTrainingArguments("out", synthetic_ratio=0.5),
        train_dataset=tokenized_train,
        eval_dataset=tokenized_test,
        processing_class=tokenizer,
        generator=CausalLMGenerator.from_pretrained("my-generator"),
        filters=[NearDuplicates()],
        preprocess=tokenize,
    )
    trainer.train()
    ```

    Args:
        model, args, data_collator, train_dataset, eval_dataset, processing_class, model_init, compute_loss_func, \
compute_metrics, callbacks, optimizers, optimizer_cls_and_kwargs, preprocess_logits_for_metrics:
            As for [`~transformers.Trainer`], in its order.
        generator, filters, preprocess, train_collator:
            As for [`AugmentingMixin`], by name.
    """
