"""The library the functions share: one package per capability."""
