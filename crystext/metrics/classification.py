"""Metrics of predicted yes or no: ROC AUC, of probabilities and of hard labels, and of classes.

An answer is the probability of yes; from 0.5 on it is yes.

    ROC AUC               probability that a record that is yes has a higher answer than one that
                          is no, ties counting half: ranks alone matter
    ROC AUC, hard labels  the same of answers rounded to 0 or 1, as matbench and LLM4Mat-Bench
                          publish: equal to balanced accuracy
    balanced accuracy     mean of the proportions of right answers among yes and among no
    F1                    2 TP / (2 TP + FP + FN), of yes

Source: Fawcett, Pattern Recognit. Lett. 27, 861 (2006). AUC is Mann and Whitney's U statistic over
the number of pairs. With one class alone AUC and balanced accuracy are undefined: nan, with a
reason.

`accuracy_with_failures` counts every record; an answer that is missing or invalid is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crystext.metrics.scores import BOOTSTRAP_SAMPLES, Score, labelled, score
from crystext.structures.crystal import Floats

THRESHOLD = 0.5
"""From this probability on, an answer is yes."""


def roc_auc(truth: Floats, predicted: Floats) -> float:
    """Return the area under the ROC curve of scores in any unit; nan with one class alone."""
    from scipy.stats import rankdata

    yes = truth > THRESHOLD
    n_yes, n_no = int(yes.sum()), int((~yes).sum())
    if not n_yes or not n_no:
        return np.nan
    pairs = rankdata(predicted)[yes].sum() - n_yes * (n_yes + 1) / 2
    return float(pairs / (n_yes * n_no))


def balanced_accuracy(truth: Floats, predicted: Floats) -> float:
    """Return the mean proportion of right answers of both classes; nan with one class alone."""
    yes, answered = truth > THRESHOLD, predicted >= THRESHOLD
    if yes.all() or not yes.any():
        return np.nan
    return float((answered[yes].mean() + (~answered[~yes]).mean()) / 2)


def f1(truth: Floats, predicted: Floats) -> float:
    """Return the harmonic mean of precision and recall of yes; nan if nothing is yes."""
    yes, answered = truth > THRESHOLD, predicted >= THRESHOLD
    whole = int(yes.sum()) + int(answered.sum())
    return float(2 * (yes & answered).sum() / whole) if whole else np.nan


def accuracy(truth: Floats, predicted: Floats) -> float:
    """Return the proportion of right answers."""
    return float(((truth > THRESHOLD) == (predicted >= THRESHOLD)).mean())


def classification_scores(
    truth: Floats, predicted: Floats, *, bootstrap: int = BOOTSTRAP_SAMPLES, seed: int = 0
) -> dict[str, Score]:
    """Return all metrics of predicted classes, by name.

    Args:
        truth: labels of N test records, 1 and 0; nan ones do not count.
        predicted: probabilities of yes, nan where there is no valid answer.
        bootstrap: number of bootstrap samples.
        seed: of the samples.
    """
    truth, predicted = labelled(truth, predicted)
    hard = np.where(np.isfinite(predicted), predicted >= THRESHOLD, np.nan)
    n_valid = int(np.isfinite(predicted).sum())
    # A failure is given the wrong answer.
    wrong = np.where(np.isfinite(predicted), predicted, (truth <= THRESHOLD).astype(float))

    def of(answers: Floats, statistic: str) -> Score:
        function, undefined = _STATISTICS[statistic]
        return score(truth, answers, function, bootstrap=bootstrap, seed=seed, undefined=undefined)

    return {
        "roc_auc": of(predicted, "roc_auc"),
        "roc_auc_hard": of(hard, "roc_auc"),
        "balanced_accuracy": of(predicted, "balanced_accuracy"),
        "f1": of(predicted, "f1"),
        "accuracy": of(predicted, "accuracy"),
        "accuracy_with_failures": of(wrong, "accuracy")._replace(n_valid=n_valid),
    }


def _one_class(truth: Floats, predicted: Floats) -> str:
    yes = truth > THRESHOLD
    if yes.all() or not yes.any():
        return f"all labels are {'yes' if yes.all() else 'no'}"
    return ""


def _nothing_yes(truth: Floats, predicted: Floats) -> str:
    is_any = (truth > THRESHOLD).any() or (predicted >= THRESHOLD).any()
    return "" if is_any else "no label and no answer is yes"


def _always_defined(truth: Floats, predicted: Floats) -> str:
    return ""


_STATISTICS = {
    "roc_auc": (roc_auc, _one_class),
    "balanced_accuracy": (balanced_accuracy, _one_class),
    "f1": (f1, _nothing_yes),
    "accuracy": (accuracy, _always_defined),
}

TITLES: Mapping[str, str] = {
    "roc_auc": "ROC AUC",
    "roc_auc_hard": "ROC AUC of hard labels",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "accuracy": "accuracy",
    "accuracy_with_failures": "accuracy, failures as wrong",
}
"""Titles of the scores for tables, in order."""
