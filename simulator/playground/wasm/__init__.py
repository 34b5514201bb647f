"""The engine as WebAssembly: its wrapper's source, how it is built, and the built file."""
