"""Fine-tunes a classifier on labelled texts, as the examples of transformers do."""

import sys

from datasets import load_dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)


model_name, train_file, output_dir = sys.argv[1:4]

dataset = load_dataset("parquet", data_files={"train": train_file})["train"]
label_names = dataset.features["label"].names
tokenizer = AutoTokenizer.from_pretrained(model_name)
model = AutoModelForSequenceClassification.from_pretrained(model_name, num_labels=len(label_names))


def preprocess(examples):
    return tokenizer(examples["text"], truncation=True, max_length=32)


args = TrainingArguments(
    output_dir=output_dir,
    per_device_train_batch_size=4,
    max_steps=5,
    report_to="none",
    dataloader_pin_memory=False,
)
trainer = Trainer(
    model=model,
    args=args,
    train_dataset=dataset.map(preprocess, batched=True),
    processing_class=tokenizer,
    data_collator=DataCollatorWithPadding(tokenizer),
)
trainer.train()
trainer.save_model(output_dir)
