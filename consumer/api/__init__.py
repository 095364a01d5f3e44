"""The Python API. Programs import it as `deedbox`; `deedbox/README.md` documents it.

Invariant: importing it is cheap. The modules that read archives are imported when the first archive is read.
"""
