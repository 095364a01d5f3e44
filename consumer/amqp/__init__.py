"""The connection to RabbitMQ: the only package that imports aio-pika, aiormq or pamqp."""
