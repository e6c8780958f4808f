"""vcviz: see what a softmax classifier anticipates of its latents, and what it gets.

Here stand the names of a first week; all others are public in their rooms (`vcviz.metrics`,
`vcviz.data`, `vcviz.figures`, …). `__init__.pyi` lists them. Each is loaded when first used, so
that importing the package costs nothing: neither torch nor plotly is imported here.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
