"""Files of commands taken in, by one process or by several that own different lanes."""
