"""What the recipes share: arguments, sources, stages that are not done twice, and the arms of a comparison."""
