"""Deedbox moves bytes: from a broker into archives, durably, and from there to whoever asks.

The architecture in one picture:

    RabbitMQ -> ingest.receive -> ingest.batcher -> ingest.loop -> archive.appender -> archive.writer -> disk
                 deliveries        batches           the promise    a thread            one zstd frame, one sync
                                                        |
                                          ack (multiple), after the sync and never before

    disk -> archive.reader, archive.catalog -> query.search, query.tail, query.exports -> who asks
                                               query.imports -> archive.archive_log -> disk
    other files -> watch.follower, watch.lines -> watching, watch_state -> ingest.publish -> RabbitMQ

The invariants, each with its one owner:

- Nothing is acknowledged that would not survive a power cut (`ingest.loop`; the order of steps in `archive.writing.writer`).
- One module makes the disk promise something (`disk.durable`), one speaks to the broker (`amqp.connection`, and
  `amqp.publish` for what is sent), one reads the environment (`settings`), one a command handles signals (`service`, `watching`; `cli` for the others).
- A failed write or sync ends that archive; recovery (`archive.writing.recovery`) mends it, and never the writer.
- A generation is one channel; what belongs to a generation that has ended comes again (`ingest.ingest`).
- Ingest never parses a body unless told to, never runs foreign code, never rejects a message.
- Reading takes no lock and never raises for what a file holds; every reader of events asks `archive.reading.tombstones`.
- A search leaves out no batch that may hold what it looks for (`archive.reading.catalog`).
- Looking is the truth about files, and the kernel's events only say where to look (`watch.monitor`).
- Stages do not import each other; `service` builds them and hands them what they need.
"""
