"""Prints the version of this CPython, and of the modules that are named."""
import importlib
import platform
import sys

modules = [importlib.import_module(name) for name in sys.argv[1:]]
print(platform.python_version(), *(module.__version__ for module in modules))
