"""The guard: it watches validation accuracy while training, and leaves slots to real rows when augmentation hurts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from accelerate.utils import gather_object
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging

from hf_augment.training.blend import BlendedRun
from hf_augment.training.shape import lead_steps


logger = logging.get_logger(__name__)


def _fisher_p_value(table: list[list[int]]) -> float:
    # Here, as scipy.stats takes long to import and few runs are guarded.
    from scipy.stats import fisher_exact

    return float(fisher_exact(table, alternative="less").pvalue)


@dataclass(frozen=True)
class GuardDecision:
    """
    One change of the share of slots that show synthetic examples.

    Args:
        step (`int`): The optimizer step after which it was made.
        from_step (`int`):
            The number of steps done when it takes effect: step `from_step + 1` is the first with the new factor.
        factor (`float`): Share of the scheduled synthetic rows that is left, in `[0, 1]`.
        reason (`str`): One sentence for a person.
        figures (`dict[str, float]`):
            Figures that it rests on: `accuracy`, `rows`, `reference` and `p_value`, `acceptance`, as far as known.
    """

    step: int
    from_step: int
    factor: float
    reason: str
    figures: dict[str, float]


class AugmentationGuard(TrainerCallback):
    """
    Lowers the share of synthetic rows, to zero if need be, when the classifier does worse for them.

    Example:

    ```python
    from hf_augment import AugmentationGuard, AugmentingTrainer, AugmentingTrainingArguments

    guard = AugmentationGuard()
    trainer = AugmentingTrainer(
        model=model,
        args=AugmentingTrainingArguments("out", eval_strategy="steps", eval_steps=0.05),
        train_dataset=train,
        eval_dataset=validation,
        compute_metrics=compute_metrics,  # gives "accuracy"
        generator=generator,
        callbacks=[guard],
    )
    trainer.train()
    print(guard.decisions)
    ```

    *What it compares.* A single run cannot know what it would be without its generator, so it is given a reference
    that saw no synthetic row: the log of another run (`baseline`), compared at the same number of optimizer steps; or,
    without one, this run itself, which then shows real rows alone for its first `warmup_steps`. Every evaluation
    tests by Fisher's exact test, one-sided, whether fewer validation rows are right than the reference had right. The
    two are treated as independent although they share their rows, so the test errs on the side of not acting.

    *What it does.* After `patience` such evaluations in a row it goes down to the next of `factors`. Slots that fall
    away show real rows: batches, steps and learning rate stay. A decision takes effect 16 batches later, since the
    loader runs ahead (later where workers make it run further ahead), and is part of the checkpoint. An evaluation
    counts only if the factor did not change since the one before it.

    *What it cannot see.* Harm below the noise of the validation set: with `n` rows at accuracy `a` an evaluation
    counts from about `1.64 * sqrt(2 a (1 - a) / n)` on, 7.5 points for 200 rows at 0.8, and `patience` of them have
    to. Without `baseline` also harm that only slows a classifier which would still have improved; and it takes for
    harm what overfitting alone has done. What wrong labels did to the weights before it acts has to be unlearned in
    the steps that remain.

    The validation rows decide how the model is trained, so results belong on others. With several processes all
    decide alike, since evaluation gathers the predictions of all; acceptance is gathered here.

    Args:
        metric (`str`, *optional*, defaults to `"eval_accuracy"`):
            A figure of [`~transformers.Trainer.evaluate`] that is a share of the evaluation rows; `eval_` may be left
            out. With several evaluation sets, `"eval_{name}_accuracy"`.
        baseline (`Sequence[Mapping]`, *optional*):
            The `state.log_history` of a run without generator on the same validation rows: dicts with `step` and
            `metric`. A step is compared with the last of its evaluations that was not later.
        warmup_steps (`float`, *optional*, defaults to 0.2):
            A number of optimizer steps, or below 1 a share of the run, in which no evaluation counts, because early
            accuracies are restless. Without `baseline` they show real rows alone, and the first evaluation from there
            on is the reference.
        alpha (`float`, *optional*, defaults to 0.05): Level of one test, in `(0, 1)`.
        patience (`int`, *optional*, defaults to 2): Evaluations in a row, at least 1.
        factors (`Sequence[float]`, *optional*, defaults to `(0.0,)`):
            Shares of the scheduled synthetic rows after the first alarm, the second and so on; falling, in `[0, 1)`.
            Half of what hurts still hurts: `(0.5, 0.0)` gives the generator a second chance, and costs that time.
        min_acceptance (`float`, *optional*, defaults to 0.0):
            An evaluation also counts against the generator if the filters accepted a smaller share of its candidates,
            in `[0, 1]`, in the shards shown since the evaluation before.

    Attributes:
        decisions (`list[GuardDecision]`): Those of the run, in order.

    Raises:
        ValueError: If an argument is out of range; when the trainer is built, if there is no accuracy to watch, too
            few rows to tell anything or nothing to guard; when training begins, if no evaluation comes early enough.
    """

    def __init__(
        self,
        metric: str = "eval_accuracy",
        baseline: Sequence[Mapping[str, Any]] | None = None,
        warmup_steps: float = 0.2,
        alpha: float = 0.05,
        patience: int = 2,
        factors: Sequence[float] = (0.0,),
        min_acceptance: float = 0.0,
    ) -> None:
        known = isinstance(metric, str) and "loss" not in metric
        _check(known, "metric", metric, "a share of rows of which more is better, such as 'accuracy'")
        self.metric = metric if metric.startswith("eval_") else f"eval_{metric}"
        self.baseline = None if baseline is None else self._curve(baseline)
        self.warmup_steps, self.alpha, self.patience = warmup_steps, alpha, patience
        self.factors, self.min_acceptance = list(factors), min_acceptance
        _check(warmup_steps > 0, "warmup_steps", warmup_steps, "a share of the run or a number of steps")
        _check(0 < alpha < 1, "alpha", alpha, "a level in (0, 1)")
        _check(patience >= 1, "patience", patience, "1 or more evaluations")
        falling = all(a > b for a, b in zip([1.0, *factors], factors, strict=False))
        _check(bool(factors) and falling and min(factors) >= 0, "factors", factors, "falling shares in [0, 1)")
        _check(0 <= min_acceptance <= 1, "min_acceptance", min_acceptance, "a share in [0, 1]")
        self._run: BlendedRun | None = None
        self._reset(None)

    def _curve(self, log_history: Sequence[Mapping[str, Any]]) -> dict[int, float]:
        curve = {int(log["step"]): float(log[self.metric]) for log in log_history if self.metric in log}
        if not curve:
            raise ValueError(
                f"baseline has no entry with {self.metric!r}: pass the state.log_history of a run that was evaluated "
                "while it trained."
            )
        return curve

    def _reset(self, saved: Mapping[str, Any] | None) -> None:
        saved = saved or {"begin": 0, "seen": 0, "streak": 0, "alarms": 0, "reference": None, "decisions": []}
        # Steps: at which guarding began, and of the last evaluation.
        self._begin, self._seen = saved["begin"], saved["seen"]
        self._streak, self._alarms = saved["streak"], saved["alarms"]
        # Right rows and rows of the reference that this run measured itself.
        self._reference: list[int] | None = saved["reference"]
        self.decisions = [GuardDecision(**decision) for decision in saved["decisions"]]

    def settings(self) -> dict[str, Any]:
        """Returns what decisions depend on, JSON serialisable."""
        names = ("metric", "warmup_steps", "alpha", "patience", "factors", "min_acceptance")
        baseline = self.baseline and [list(point) for point in sorted(self.baseline.items())]
        return {name: getattr(self, name) for name in names} | {"baseline": baseline}

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps, JSON serialisable."""
        return {
            "begin": self._begin,
            "seen": self._seen,
            "streak": self._streak,
            "alarms": self._alarms,
            "reference": self._reference,
            "decisions": [asdict(decision) for decision in self.decisions],
        }

    def factor(self, step: int) -> float:
        """Returns what was left of the scheduled synthetic rows in optimizer step `step`, counted from 1."""
        return next((d.factor for d in reversed(self.decisions) if d.from_step < step), 1.0)

    def check(self, args: TrainingArguments, augments: bool, eval_dataset: Any, has_metrics: bool) -> None:
        """
        Refuses a trainer in which the guard cannot work.

        Args:
            args (`TrainingArguments`): The trainer's arguments.
            augments (`bool`): Whether it blends.
            eval_dataset (`Any`): Its validation rows, or a dict of several.
            has_metrics (`bool`): Whether it was given `compute_metrics`.

        Raises:
            ValueError: With what is missing.
        """
        guard = "callbacks holds an AugmentationGuard, but"
        if not augments:
            raise ValueError(
                f"{guard} there is no generator, or synthetic_ratio is 0: pass generator=... and a ratio above 0, or "
                "leave the guard out."
            )
        if args.eval_strategy == "no":
            raise ValueError(f"{guard} eval_strategy='no': pass 'steps' or 'epoch', and validation rows.")
        if not has_metrics:
            raise ValueError(f"{guard} there is no compute_metrics: pass one that gives {self.metric[5:]!r}.")
        watched = eval_dataset
        if isinstance(eval_dataset, dict):
            watched = next((rows for n, rows in eval_dataset.items() if self.metric.startswith(f"eval_{n}_")), None)
            if watched is None:
                raise ValueError(
                    f"{guard} metric={self.metric!r} is of none of the evaluation sets {list(eval_dataset)}: pass "
                    f"'eval_{next(iter(eval_dataset))}_accuracy'."
                )
        if not hasattr(watched, "__len__"):
            raise ValueError(f"{guard} the evaluation rows are a stream, whose number is unknown: give a dataset.")
        none_against_all = [[0, len(watched)], [len(watched), 0]]
        if not self.min_acceptance and _fisher_p_value(none_against_all) >= self.alpha:
            raise ValueError(f"{guard} {len(watched)} evaluation rows show nothing at alpha={self.alpha}: give more.")

    def start(
        self, run: BlendedRun, args: TrainingArguments, state: TrainerState, saved: Mapping[str, Any] | None
    ) -> None:
        """Training begins, with what the checkpoint kept if there is one; called before the first batch is made."""
        self._reset(saved)
        self._run = run
        for decision in self.decisions:
            run.scale(decision.from_step, decision.factor)
        if saved is not None:
            return
        self._begin = state.global_step
        alarm = self._first_alarm(args, state)
        effect = self._effect(args, alarm)
        if effect >= state.max_steps or not run.plan.live[run.shape.batches_before(effect) :].any():
            raise ValueError(
                f"AugmentationGuard: with warmup_steps={self.warmup_steps} and patience={self.patience} it could "
                f"first act on the evaluation at step {alarm} of {state.max_steps}, too late, since no synthetic row "
                "is scheduled from then on: evaluate more often, lower warmup_steps, give a baseline that was "
                "evaluated earlier, or let the schedule go on."
            )
        if self.baseline is None:
            self._decide(state, self._begin, 0.0, "Real rows alone, until the reference is measured.", {})

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._run is None:
            raise ValueError(
                "AugmentationGuard guards what an AugmentingTrainer blends: pass it as callbacks=[guard] to one, "
                "alone of its kind."
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._run = None

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        metrics, step = kwargs["metrics"], state.global_step
        # What is evaluated outside of training, or again at the start of a resumed one, says nothing new.
        if self._run is None or step <= self._seen or not self._concerns(metrics):
            return
        since, self._seen = self._seen, step
        rows = len(kwargs["eval_dataloader"].dataset)
        right = round(metrics[self.metric] * rows)
        figures = {"accuracy": metrics[self.metric], "rows": rows}
        if step < self._warmup_end(state):
            return
        if self.baseline is None and self._reference is None:
            self._reference = [right, rows]
            reason = f"The reference is measured: {right} of {rows} validation rows are right."
            self._decide(state, self._effect(args, step), 1.0, reason, figures)
            return
        reasons = self._reasons(right, rows, figures, step, since)
        settled = not self.decisions or since >= self.decisions[-1].from_step
        self._streak = self._streak + 1 if reasons and settled else 0
        effect = self._effect(args, step)
        # What would take effect after the last step is no decision.
        if self._streak >= self.patience and self._alarms < len(self.factors) and effect < state.max_steps:
            factor = self.factors[self._alarms]
            self._alarms, self._streak = self._alarms + 1, 0
            self._decide(state, effect, factor, " ".join(reasons), figures)

    def _concerns(self, metrics: Mapping[str, float]) -> bool:
        """Whether these are figures of the evaluation set that is watched."""
        if self.metric in metrics:
            if not 0 <= metrics[self.metric] <= 1:
                raise ValueError(
                    f"metric={self.metric!r} is {metrics[self.metric]}, which is no share of rows: name an accuracy."
                )
            return True
        # Every evaluation has a runtime, whose name tells its prefix.
        prefixes = [name.removesuffix("runtime") for name in metrics if name.endswith("_runtime")]
        if any(self.metric.startswith(prefix) for prefix in prefixes):
            raise ValueError(f"metric={self.metric!r} is not among {sorted(metrics)}: name one, an accuracy.")
        return False

    def _reasons(self, right: int, rows: int, figures: dict[str, float], step: int, since: int) -> list[str]:
        """Returns what speaks against the generator at this evaluation; adds to `figures` what was looked at."""
        reasons = []
        reference = self._reference_at(step, rows)
        if reference is not None:
            there, of = reference
            figures["reference"] = there / of
            table = [[right, rows - right], [there, of - there]]
            figures["p_value"] = _fisher_p_value(table)
            if figures["p_value"] < self.alpha:
                reasons.append(
                    f"{self.metric} is {right / rows:.3f}, without synthetic rows it was {there / of:.3f} "
                    f"(p = {figures['p_value']:.2g})."
                )
        if self.min_acceptance > 0:
            accepted = self._acceptance(since, step)
            if accepted is not None:
                figures["acceptance"] = accepted
                if accepted < self.min_acceptance:
                    reasons.append(f"Filters accepted {accepted:.3f} of the candidates.")
        return reasons

    def _reference_at(self, step: int, rows: int) -> list[int] | None:
        if self.baseline is None:
            return self._reference
        steps = [known for known in self.baseline if known <= step]
        return [round(self.baseline[max(steps)] * rows), rows] if steps else None

    def _acceptance(self, since: int, step: int) -> float | None:
        """The mean share over the ranks that showed something; each knows its own shards alone."""
        assert self._run is not None
        gathered = gather_object([self._run.acceptance(since, step).get("acceptance")])
        known = [share for share in gathered if share is not None]
        return sum(known) / len(known) if known else None

    def _decide(
        self, state: TrainerState, from_step: int, factor: float, reason: str, figures: dict[str, float]
    ) -> None:
        assert self._run is not None
        self.decisions.append(GuardDecision(state.global_step, from_step, factor, reason, figures))
        self._run.scale(from_step, factor)
        if state.is_world_process_zero:
            logger.warning(
                f"AugmentationGuard: {factor:.0%} of the scheduled synthetic rows from step {from_step + 1} on. "
                f"{reason}"
            )

    def _effect(self, args: TrainingArguments, step: int) -> int:
        """The steps done when a decision made after `step` takes effect."""
        return step + lead_steps(args)

    def _warmup_end(self, state: TrainerState) -> int:
        steps = self.warmup_steps
        return self._begin + math.ceil(steps if steps >= 1 else steps * state.max_steps)

    def _first_alarm(self, args: TrainingArguments, state: TrainerState) -> int:
        """The step of the first evaluation after which the share could be lowered."""
        assert self._run is not None
        epoch = self._run.shape.steps_per_epoch
        by_epoch = args.eval_strategy == "epoch"
        interval, delay = (epoch, args.eval_delay * epoch) if by_epoch else (state.eval_steps, args.eval_delay)

        def evaluation_from(step: float) -> int:
            return math.ceil(step / interval) * interval

        first = evaluation_from(max(self._warmup_end(state), delay, min(self.baseline or [0])))
        if self.baseline is None:
            # That one measures the reference. One counts if synthetic rows were back at the one before it.
            first = evaluation_from(self._effect(args, first)) + interval
        return first + (self.patience - 1) * interval


def _check(holds: bool, name: str, value: Any, wanted: str) -> None:
    if not holds:
        raise ValueError(f"AugmentationGuard: {name}={value!r} is out of range: pass {wanted}.")
