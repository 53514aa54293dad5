"""The whole product: the worker that reads evidence, the supervisor that seals the case."""
