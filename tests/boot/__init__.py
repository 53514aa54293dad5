"""The live stick in an emulated PC: how it is built, started, driven and looked at from outside."""
