"""The report's figures, a file a figure: each gives one panel or several."""
