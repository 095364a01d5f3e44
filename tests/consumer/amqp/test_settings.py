from consumer.amqp.settings import BrokerSection


def test_the_topology_has_every_field_of_the_section_and_the_name_of_the_connection() -> None:
    section = BrokerSection(
        url="amqp://host/", queue="q", queue_type="classic", queue_arguments={"a": 1}, exchange="x", exchange_type="fanout", exchange_arguments={"b": 2},
        binding_keys=("k",), binding_arguments={"c": 3}, consumer_arguments={"d": 4}, declare="all", ca_file="ca", certificate_file="cert", key_file="key",
    )  # fmt: skip
    topology = section.topology("deedbox one")
    fields = {
        name: getattr(section, name) for name in section.__struct_fields__ if name not in ("password", "watchdog_s")
    }
    assert {name: getattr(topology, name) for name in fields} == fields
    assert topology.name == "deedbox one"


def test_the_password_replaces_that_of_the_url() -> None:
    assert BrokerSection(url="amqp://me:old@host/v", password="n@w").topology("").url == "amqp://me:n%40w@host/v"
