"""Import events from files of other systems, and export archived events as such files.

`formats` lists the formats. Their bytes are encoded and decoded in `codec.foreign`; this package maps records to events and back.
"""
