"""One file a GUI toolkit: each runs that toolkit's main loop with beats and crash reporting."""
