"""The training loop over mini-batches, and the loss over all rows; knows no model by name."""
