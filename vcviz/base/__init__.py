"""What stands on nothing: errors, checks of options, JSON, files, locks, progress."""

from vcviz.base.late import put_off

# nbformat checks notebooks with jsonschema, which imports this for addresses; a notebook has none.
# It compiles a grammar 38 times: a second of the processor for whoever runs a notebook, or shows
# plotly's first figure in one.
put_off("rfc3987_syntax", "is_valid_syntax")
