"""The live system's own part: the stick it runs from, the PC it was plugged into, and the run without a person."""
