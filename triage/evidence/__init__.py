"""Opens a source read-only, refuses one that could be written meanwhile, and proves that nothing was."""
