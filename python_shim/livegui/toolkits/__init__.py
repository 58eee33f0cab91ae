"""One file for each GUI toolkit. It makes the toolkit's main loop beat, and reports its crashes."""
