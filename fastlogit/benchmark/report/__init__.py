"""A stored run as one page, and as the table and picture of README."""
