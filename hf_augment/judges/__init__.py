"""What gives p(label | example): classifiers, classifiers that saw other folds, a language model that is asked."""
