"""Has the kernel forbid this process what it does not need: files, network, programs, memory."""
