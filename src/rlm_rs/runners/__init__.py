"""How a step is run: in a locked child of a zygote process."""
