"""Over all rows at once: second derivatives, coordinate descent."""
