"""Describers: where the id, type, time and tags of an event come from, besides the AMQP properties.

`names` has the names for the settings, `describers` puts the describers of a setting together, `guard` encloses each of them, and
`function` imports one of the user. Every other module is one preset. Invariant: a describer never changes the delivery and never
stops ingest.
"""
