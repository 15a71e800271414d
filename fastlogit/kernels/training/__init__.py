"""The epoch: batches, blocks of rows, optimizers, shuffling."""
