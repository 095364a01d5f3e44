"""Shipping: what happens to sealed archives: upload to object storage, steps on seal, retention."""
