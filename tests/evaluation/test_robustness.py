"""Reports by hand, trainers and pipelines against the model itself, and a callback that leaves no trace."""

import doctest
import random

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import ImageClassificationPipeline, TextClassificationPipeline, Trainer, ViTImageProcessor

from hf_augment.evaluation.robustness import (
    RobustnessCallback,
    RobustnessReport,
    predict_with_pipeline,
    predict_with_trainer,
    predicted_classes,
    robustness,
)
from hf_augment.perturbations.text import perturb_texts
from tests.tiny import tiny_classifier, tiny_tokenizer
from tests.toys import IMAGE, TEXT


def add(values, name, severity, seed):
    """A perturbation of numbers."""
    return [value + {"up": 1, "down": -1}[name] * severity + seed for value in values]


def test_report_by_hand():
    # Right where a value is above 0; down by 1, 2, 3 leaves 3, 2 and 1 of the four, up leaves all.
    calls = []

    def predict(values):
        calls.append(list(values))
        return np.array([[0.0, value] for value in values])

    report = robustness(predict, [1, 2, 3, 4], [1, 1, 1, 1], add, ["up", "down"], severities=(1, 2, 3))
    shares = [3 / 6, 4 / 6, 5 / 6, 6 / 6]
    assert report == RobustnessReport(1.0, {"up": [1.0, 1.0, 1.0], "down": [0.75, 0.5, 0.25]}, (1, 2, 3), shares)
    assert calls[0] == [1, 2, 3, 4]
    assert calls[1:] == [[2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6, 7], [0, 1, 2, 3, -1, 0, 1, 2, -2, -1, 0, 1]]
    assert report.robust_accuracy == np.mean(report.correct) == 0.75
    assert report.drop == 0.25
    assert report.worst == ("down", 0.5)
    assert report.table() == (
        "accuracy: clean 1.000, perturbed 0.750 (drop 0.250)",
        ("perturbation", "severity 1", "severity 2", "severity 3", "mean"),
        [("up", "1.000", "1.000", "1.000", "1.000"), ("down", "0.750", "0.500", "0.250", "0.500")],
    )
    seeded = robustness(predict, [1, 2, 3, 4], [1, 1, 1, 1], add, ["down"], severities=(4,), seed=2)
    assert seeded.accuracy == {"down": [0.5]}


def test_several_labels_count_by_the_share_that_is_right():
    labels = [[1, 0, 1], [0, 1, 0]]
    # Each value is its logits; a perturbation turns those of the first label.
    report = robustness(
        lambda values: np.array(values, dtype=float),
        [[1, -1, 1], [-1, 1, -1]],
        labels,
        lambda values, name, severity, seed: [[-first, *others] for first, *others in values],
        ["turn"],
        (1, 2),
    )
    assert report.clean == 1.0
    assert report.accuracy == {"turn": [0.5, 0.5]}
    assert report.correct == [0.5, 0.5]
    with pytest.raises(ValueError, match=r"it has to give logits of shape \(2, 3\), one for each value and label"):
        robustness(lambda values: [0, 1], ["a", "b"], labels, perturb_texts, ["case"])


def test_mean_corruption_error():
    report = RobustnessReport(0.9, {"a": [0.8, 0.4], "b": [0.7, 0.7]}, (1, 2))
    baseline = RobustnessReport(0.5, {"b": [0.4, 0.4], "a": [0.6, 0.6]}, (1, 2))
    # (0.2 + 0.6) / (0.4 + 0.4) and (0.3 + 0.3) / (0.6 + 0.6).
    assert report.mean_corruption_error(baseline) == pytest.approx((1.0 + 0.5) / 2)
    assert baseline.mean_corruption_error(baseline) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="baseline has perturbations and severities"):
        report.mean_corruption_error(RobustnessReport(0.5, {"a": [0.6, 0.6]}, (1, 2)))
    with pytest.raises(ValueError, match="baseline has perturbations and severities"):
        report.mean_corruption_error(RobustnessReport(0.5, baseline.accuracy, (1, 3)))
    with pytest.raises(ValueError, match="baseline makes no error under 'b'"):
        report.mean_corruption_error(RobustnessReport(0.5, {"a": [0.6, 0.6], "b": [1.0, 1.0]}, (1, 2)))


def test_classes_of_a_prediction():
    assert predicted_classes([[0.1, 0.9], [3.0, -np.inf]], 2, "x").tolist() == [1, 0]
    assert predicted_classes(np.array([2, 0]), 2, "x").tolist() == [2, 0]
    assert predicted_classes(torch.tensor([[0.0, 1.0]]), 1, "x").tolist() == [1]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ([1], r"predict gave int64 of shape \(1,\) for 2 values \(clean values\)"),
        ([0.2, 0.8], r"predict gave float64 of shape \(2,\)"),
        ([[0.2], [0.3]], "labels has the class 1, but predict gives scores of 1 classes"),
        ([[0.2, 0.1], [np.nan, 0.3]], r"predict gave \[nan, 0.3\] for value 1 \(clean values\)"),
    ],
)
def test_predictions_that_say_no_class(output, message):
    with pytest.raises(ValueError, match=message):
        robustness(lambda values: output, [1, 2], [0, 1], add, ["up"])


def test_a_class_that_the_model_does_not_have_is_named():
    with pytest.raises(ValueError, match="labels has the class 2, but predict gives scores of 2 classes"):
        robustness(lambda values: [[0.1, 0.9]] * len(values), [1, 2], [1, 2], add, ["up"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], add, ["up"]), "There are 0 values"),
        (([1], [0], add, []), r"names=\[\]"),
        (([1], [0], add, ["up"], ()), r"severities=\(\)"),
        (([1, 2], [0], add, ["up"]), r"`labels` has shape \(1,\)"),
        (([1], [0], add, "up"), "names='up' and severities=.*: give a list of either"),
        (([1], [0], add, ["up"], 3), r"names=\['up'\] and severities=3: give a list of either"),
        (([1, 2], [0, 1], lambda values, *_: values[:1], ["up"]), "perturb gave 1 values for 2 \\('up' at severity 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        robustness(lambda values: [0] * len(values), *arguments)


# --- trainers and pipelines --------------------------------------------------------------------------------------

TEXTS = ["a fine film", "no", "it drags on and on", "what a day"]


def prepare(texts):
    return Dataset.from_dict(dict(tiny_tokenizer()(list(texts))))


def logits_of(model, texts):
    tokenizer = tiny_tokenizer()
    with torch.no_grad():
        return np.stack([model(**tokenizer(text, return_tensors="pt")).logits[0].numpy() for text in texts])


def test_a_trainer_predicts_with_another_collator_and_has_its_own_back(tmp_path):
    model, tokenizer = tiny_classifier(3), tiny_tokenizer()
    trainer = Trainer(model, TEXT.args(tmp_path, per_device_eval_batch_size=3), processing_class=tokenizer)
    own, seen = trainer.data_collator, []

    def collate(rows):
        seen.append(len(rows))
        return own(rows)

    # Rows are padded in batches, so that sums are in another order.
    np.testing.assert_allclose(predict_with_trainer(trainer, prepare)(TEXTS), logits_of(model, TEXTS), atol=1e-5)
    assert seen == []
    predicted = predict_with_trainer(trainer, prepare, collate)(TEXTS)
    np.testing.assert_allclose(predicted, logits_of(model, TEXTS), atol=1e-5)
    assert seen == [3, 1]
    trainer.args.eval_do_concat_batches = False
    np.testing.assert_allclose(predict_with_trainer(trainer, prepare)(TEXTS), logits_of(model, TEXTS), atol=1e-5)
    with pytest.raises(ZeroDivisionError):
        predict_with_trainer(trainer, lambda values: 1 / 0, collate)(TEXTS)
    assert trainer.data_collator is own


def test_a_text_pipeline_predicts_in_the_order_of_our_labels():
    model = tiny_classifier(3)
    model.config.id2label = {0: "bad", 1: "fair", 2: "good"}
    pipeline = TextClassificationPipeline(model=model, tokenizer=tiny_tokenizer(), device="cpu")
    scores = predict_with_pipeline(pipeline, ["good", "bad", "fair"])(TEXTS)
    expected = torch.from_numpy(logits_of(model, TEXTS)).softmax(dim=-1).numpy()[:, [2, 0, 1]]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"label_names=\['good', 'bad'\], but .* has \['bad', 'fair'"):
        predict_with_pipeline(pipeline, ["good", "bad"])


def test_of_several_labels_a_text_pipeline_gives_logits():
    tokenizer = tiny_tokenizer()
    model = tiny_classifier(3, tokenizer)
    model.config.problem_type = "multi_label_classification"
    model.config.id2label = {0: "2", 1: "0", 2: "1"}
    predict = predict_with_pipeline(TextClassificationPipeline(model=model, tokenizer=tokenizer), list("012"))
    with torch.no_grad():
        logits = model(**tokenizer("a day", return_tensors="pt")).logits[0].numpy()
    np.testing.assert_allclose(predict(["a day"])[0], logits[[1, 2, 0]], rtol=1e-5)


def test_a_text_pipeline_cuts_what_is_too_long_for_its_model():
    model = tiny_classifier(2)
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = longest = model.config.max_position_embeddings
    pipeline = TextClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu")
    long, longer = "film " * 2 * longest, "film " * 4 * longest
    scores = predict_with_pipeline(pipeline, ["LABEL_0", "LABEL_1"])([long, longer])
    np.testing.assert_array_equal(scores[0], scores[1])


def test_an_image_pipeline_takes_arrays():
    model = IMAGE.model().eval()
    processor = ViTImageProcessor(do_resize=False, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    pipeline = ImageClassificationPipeline(model=model, image_processor=processor, device="cpu")
    images = IMAGE.rows(6).with_format("numpy")["image"][:].astype(np.uint8)
    scores = predict_with_pipeline(pipeline, ["LABEL_0", "LABEL_1"])(list(images))
    with torch.no_grad():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
        expected = model(pixel_values=pixels).logits.softmax(dim=-1).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    # A grey one is the same in all its channels.
    grey = predict_with_pipeline(pipeline, ["LABEL_0", "LABEL_1"])([images[0][:, :, :1]])
    three = predict_with_pipeline(pipeline, ["LABEL_0", "LABEL_1"])([images[0][:, :, :1].repeat(3, axis=2)])
    np.testing.assert_array_equal(grey, three)


def test_the_callback_logs_and_leaves_no_trace(tmp_path):
    def run(measured):
        trainer = TEXT.trainer(tmp_path, num_train_epochs=1)
        callback = None
        if measured:
            rows = TEXT.rows(6)

            def predict(values):
                torch.rand(3)
                random.random()
                labels = rows["label"][:] * (len(values) // 6)
                dataset = Dataset.from_dict({"label": labels, **TEXT.preprocess({"text": list(values)})})
                return predict_with_trainer(trainer, lambda _: dataset)(values)

            names = ["word_drop", "case"]
            callback = RobustnessCallback(trainer, predict, rows["text"][:], rows["label"][:], perturb_texts, names)
            trainer.add_callback(callback)
        trainer.train()
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        return trainer, callback, states, [m.training for m in trainer.model.modules()]

    plain, _, states, modes = run(False)
    trainer, callback, after, modes_after = run(True)
    assert torch.equal(states[0], after[0])
    assert states[1:] == after[1:]
    assert modes == modes_after
    report = callback.report
    logged = trainer.state.log_history[-1]
    assert {name: logged[name] for name in ("clean_accuracy", "robust_accuracy", "drop", "worst_accuracy")} == {
        "clean_accuracy": report.clean,
        "robust_accuracy": report.robust_accuracy,
        "drop": report.drop,
        "worst_accuracy": report.worst[1],
    }
    assert logged["accuracy_case"] == pytest.approx(np.mean(report.accuracy["case"]))
    assert "worst_perturbation" not in logged
    stripped = [
        [{k: v for k, v in log.items() if "runtime" not in k and "per_second" not in k} for log in history]
        for history in (plain.state.log_history, trainer.state.log_history[:-1])
    ]
    assert stripped[0] == stripped[1]


def test_documented_example_runs():
    text = robustness.__doc__.replace("```python", "").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, "robustness", None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
