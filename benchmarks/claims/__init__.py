"""The papers' central claims at small scale: five seeds or more, intervals, whatever comes out.

`python -m benchmarks.claims NAME` runs `benchmarks/claims/NAME.py` and writes NAME.md beside it.
"""
