"""Everything that speaks to RabbitMQ. No other package imports aio-pika, aiormq or pamqp."""
