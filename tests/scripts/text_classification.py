"""Fine-tunes a classifier on labelled texts, as the examples of transformers do."""

import sys

from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments


model_name, train_file, output_dir = sys.argv[1:4]

dataset = load_dataset("parquet", data_files=train_file, split="train")
label_names = dataset.features["label"].names
tokenizer = AutoTokenizer.from_pretrained(model_name)
id2label = dict(enumerate(label_names))
model = AutoModelForSequenceClassification.from_pretrained(model_name, id2label=id2label)


def preprocess(examples):
    return tokenizer(examples["text"], truncation=True, max_length=128)


trainer = Trainer(
    model,
    TrainingArguments(output_dir, num_train_epochs=1),
    train_dataset=dataset.map(preprocess, batched=True),
    processing_class=tokenizer,
)
trainer.train()
trainer.save_model(output_dir)
