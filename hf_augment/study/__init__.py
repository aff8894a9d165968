"""What the recipes share: arguments, sources, stages that are not done twice, and the arms of a comparison."""

from hf_augment.extras import optional_imports


with optional_imports("all"):
    import rich
    import sklearn
    import torchvision
