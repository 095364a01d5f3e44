"""Deedbox receives messages from RabbitMQ, archives them durably, and reads the archives.

The architecture in one picture:

    RabbitMQ -> amqp.receive -> ingest.batcher -> ingest.loop -> archive.writing.appender -> archive.writing.writer -> disk
                deliveries      batches           the promise    one writer thread           one zstd frame, one sync
                                                      |
                                        one ack for the batch, only after its sync has returned

    disk, objects -> archive.reading -> query.search, follow.follower -> convert, cli, the Python API
    disk -> archive.digests, ship -> objects (a storage or another directory) -> ship.retention
    other files -> watch -> forward -> amqp.publish -> RabbitMQ

The packages in the order of the flow: `amqp`, `ingest`, `archive` (`writing`, `reading`, `rewriting`, `digests`, `checking`), `query`,
`follow`, `convert`, `ship` (with `steps` and `retention`). Below all of them are `codec` (bytes and values), `disk`, `objects`, `errors` and `log`. `service`, `api` and `cli` put them together. `tests/test_architecture.py` holds
the rules of imports.

The invariants, each with its one owner:

- A message is acknowledged only when its bytes would survive a power cut (`ingest.loop`; the order of steps is in `archive.writing`).
- Only `disk` asks the kernel for sync, lock and rename. Only `amqp` imports the AMQP libraries. Only `objects` speaks to object
  storage. Only `config` reads the environment.
- A failed write or sync ends that archive for its writer. Recovery (`archive.writing.recovery`) closes it, never the writer.
- A generation is one channel. When it ends, the broker delivers its unacknowledged messages again (`ingest.ingest`).
- Ingest parses no body unless the settings ask for it, runs no foreign code, and rejects no message.
- Reading acquires no lock, and returns damage as a fault. Every reader of events leaves out deleted ones (`archive.reading.tombstones`).
- A search skips a batch only if the index proves that it holds no wanted event (`archive.reading.catalog`).
- A follower gets a batch only after its sync has returned, and skips nothing without a fault (`follow.follower`).
- An archive counts as shipped only if the destination returns its size and SHA-256 (`ship.upload`). No archive is removed that is not shipped to every
  destination, that a follower has not passed, or that is under a hold, and the digests record the removal first (`ship.retention`, `ship.steps`).
- The file monitor looks at the files themselves. Events of the kernel only start a check (`watch.monitor`).
"""
