"""The engine in C++: passes of stacks of networks, compiled when the package is installed, torch where it is not."""
