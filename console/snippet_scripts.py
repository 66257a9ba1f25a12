"""Snippets for the shell and for Python. Each pair writes one record, and reads from the beginning on."""

import shlex

from .snippet_connection import CA_FILE, GREETING, MECHANISM, Connection, text_literal

# kcat


def _kcat(connection: Connection, *arguments: str) -> str:
    settings = {
        "security.protocol": connection.security_protocol,
        "sasl.mechanism": MECHANISM,
        "sasl.username": connection.username,
        "sasl.password": connection.password,
        **({"ssl.ca.location": CA_FILE} if connection.tls else {}),
    }
    first = shlex.join(["kcat", *arguments, "-b", connection.bootstrap, "-t", connection.topic])
    return " \\\n  ".join([first, *(shlex.join(["-X", f"{name}={value}"]) for name, value in settings.items())])


def kcat_produce(connection: Connection) -> str:
    return f"echo {shlex.quote(GREETING)} | {_kcat(connection, '-P')}"


def kcat_consume(connection: Connection) -> str:
    command = _kcat(connection, "-C", "-o", "beginning", "-e")
    return f"# Reads what is there and ends; without -e it waits for more.\n{command}"


# Python: confluent-kafka


def _librdkafka(connection: Connection, **more: str) -> str:
    settings = {
        "bootstrap.servers": connection.bootstrap,
        "security.protocol": connection.security_protocol,
        "sasl.mechanism": MECHANISM,
        "sasl.username": connection.username,
        "sasl.password": connection.password,
        **({"ssl.ca.location": CA_FILE} if connection.tls else {}),
        **more,
    }
    return "\n".join(f"    {text_literal(name)}: {text_literal(value)}," for name, value in settings.items())


def confluent_produce(connection: Connection) -> str:
    topic, value = text_literal(connection.topic), text_literal(GREETING)
    return f"""
from confluent_kafka import KafkaException, Producer

producer = Producer({{
{_librdkafka(connection)}
}})


def delivered(error, record):
    if error is not None:
        raise KafkaException(error)
    print(f"written to partition {{record.partition()}} at offset {{record.offset()}}")


producer.produce({topic}, key="greeting", value={value}, on_delivery=delivered)
producer.flush()
"""


def confluent_consume(connection: Connection) -> str:
    more = {"group.id": connection.group, "auto.offset.reset": "earliest"}
    return f"""
from confluent_kafka import Consumer, KafkaException

consumer = Consumer({{
{_librdkafka(connection, **more)}
}})
consumer.subscribe([{text_literal(connection.topic)}])
try:
    while True:
        record = consumer.poll(1.0)
        if record is None:
            continue
        if record.error():
            raise KafkaException(record.error())
        print(record.key(), record.value(), flush=True)
except KeyboardInterrupt:
    pass
finally:
    consumer.close()
"""


# Python: aiokafka

_IMPORTS = {False: "import asyncio", True: "import asyncio\nimport ssl"}


def _aiokafka(connection: Connection, **more: str) -> str:
    settings = {
        "bootstrap_servers": text_literal(connection.bootstrap),
        "security_protocol": text_literal(connection.security_protocol),
        "sasl_mechanism": text_literal(MECHANISM),
        "sasl_plain_username": text_literal(connection.username),
        "sasl_plain_password": text_literal(connection.password),
        **({"ssl_context": f"ssl.create_default_context(cafile={text_literal(CA_FILE)})"} if connection.tls else {}),
        **{name: text_literal(value) for name, value in more.items()},
    }
    return "\n".join(f"        {name}={value}," for name, value in settings.items())


def aiokafka_produce(connection: Connection) -> str:
    topic, value = text_literal(connection.topic), text_literal(GREETING)
    return f"""
{_IMPORTS[connection.tls]}

from aiokafka import AIOKafkaProducer


async def main():
    producer = AIOKafkaProducer(
{_aiokafka(connection)}
    )
    await producer.start()
    try:
        where = await producer.send_and_wait({topic}, key=b"greeting", value=b{value})
        print(f"written to partition {{where.partition}} at offset {{where.offset}}")
    finally:
        await producer.stop()


asyncio.run(main())
"""


def aiokafka_consume(connection: Connection) -> str:
    return f"""
{_IMPORTS[connection.tls]}

from aiokafka import AIOKafkaConsumer


async def main():
    consumer = AIOKafkaConsumer(
        {text_literal(connection.topic)},
{_aiokafka(connection, group_id=connection.group, auto_offset_reset="earliest")}
    )
    await consumer.start()
    try:
        async for record in consumer:
            print(record.key, record.value, flush=True)
    finally:
        await consumer.stop()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""


# the settings alone


def environment_produce(connection: Connection) -> str:
    return _environment(connection)


def environment_consume(connection: Connection) -> str:
    return _environment(connection, KAFKA_GROUP_ID=connection.group)


def _environment(connection: Connection, **more: str) -> str:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap,
        "KAFKA_SECURITY_PROTOCOL": connection.security_protocol,
        "KAFKA_SASL_MECHANISM": MECHANISM,
        "KAFKA_SASL_USERNAME": connection.username,
        "KAFKA_SASL_PASSWORD": connection.password,
        **({"KAFKA_SSL_CA_LOCATION": CA_FILE} if connection.tls else {}),
        "KAFKA_TOPIC": connection.topic,
        **more,
    }
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
