"""
Hides trio, which the project's browser test brings in and users don't have.

httpx's transport imports it where it finds it, which would add 60 ms to every provider process measured.
"""

raise ImportError("trio is hidden from the benchmarks")
