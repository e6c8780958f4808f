"""``python -m vcviz`` is the ``vcviz`` command."""

from vcviz.cli import main

if __name__ == "__main__":
    main()
