"""Snippets for Java, Go and Node. Each pair writes one record, and reads from the beginning on."""

from .snippet_connection import CA_FILE, GREETING, MECHANISM, Connection, text_literal

# Java


def _java(connection: Connection, **more: str) -> str:
    jaas = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f"username={_jaas(connection.username)} password={_jaas(connection.password)};"
    )
    settings = {
        "bootstrap.servers": connection.bootstrap,
        "security.protocol": connection.security_protocol,
        "sasl.mechanism": MECHANISM,
        "sasl.jaas.config": jaas,
        **({"ssl.truststore.type": "PEM", "ssl.truststore.location": CA_FILE} if connection.tls else {}),
        **more,
    }
    return "\n".join(
        f"    settings.put({text_literal(name)}, {text_literal(value)});" for name, value in settings.items()
    )


def _jaas(value: str) -> str:
    """A quoted value of a JAAS configuration, whose parser knows backslashes in quotes."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def java_produce(connection: Connection) -> str:
    serializer = "org.apache.kafka.common.serialization.StringSerializer"
    settings = _java(connection, **{"key.serializer": serializer, "value.serializer": serializer})
    return f"""
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

public class Produce {{
  public static void main(String[] arguments) throws Exception {{
    Properties settings = new Properties();
{settings}
    try (var producer = new KafkaProducer<String, String>(settings)) {{
      var record = new ProducerRecord<>({text_literal(connection.topic)}, "greeting", {text_literal(GREETING)});
      var where = producer.send(record).get();
      System.out.printf("written to partition %d at offset %d%n", where.partition(), where.offset());
    }}
  }}
}}
"""


def java_consume(connection: Connection) -> str:
    deserializer = "org.apache.kafka.common.serialization.StringDeserializer"
    more = {
        "key.deserializer": deserializer,
        "value.deserializer": deserializer,
        "group.id": connection.group,
        "auto.offset.reset": "earliest",
    }
    return f"""
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;

public class Consume {{
  public static void main(String[] arguments) {{
    Properties settings = new Properties();
{_java(connection, **more)}
    try (var consumer = new KafkaConsumer<String, String>(settings)) {{
      consumer.subscribe(List.of({text_literal(connection.topic)}));
      while (true) {{
        for (var record : consumer.poll(Duration.ofSeconds(1))) {{
          System.out.println(record.key() + " " + record.value());
        }}
      }}
    }}
  }}
}}
"""


# Go


def _go(connection: Connection, imports: tuple[str, ...], more: tuple[str, ...], work: str) -> str:
    standard = sorted({"context", "fmt", "log", *(("crypto/tls", "crypto/x509", "os") if connection.tls else ())})
    seeds = ", ".join(text_literal(server) for server in connection.servers)
    user, password = text_literal(connection.username), text_literal(connection.password)
    options = [
        f"kgo.SeedBrokers({seeds})",
        f"kgo.SASL(plain.Auth{{User: {user}, Pass: {password}}}.AsMechanism())",
        *(["kgo.DialTLSConfig(&tls.Config{RootCAs: roots})"] if connection.tls else []),
        *more,
    ]
    trust = f"""
	pem, err := os.ReadFile({text_literal(CA_FILE)})
	if err != nil {{
		log.Fatal(err)
	}}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)"""
    written = "\n".join(f"\t{text_literal(name)}" for name in standard)
    others = "\n".join(f"\t{text_literal(f'github.com/twmb/franz-go/pkg/{name}')}" for name in imports)
    listed = "\n".join(f"\t\t{option}," for option in options)
    return f"""
package main

import (
{written}

{others}
)

func main() {{{trust if connection.tls else ""}
	client, err := kgo.NewClient(
{listed}
	)
	if err != nil {{
		log.Fatal(err)
	}}
	defer client.Close()
{work.strip(chr(10))}
}}
"""


def go_produce(connection: Connection) -> str:
    topic, value = text_literal(connection.topic), text_literal(GREETING)
    work = f"""
	record := &kgo.Record{{Topic: {topic}, Key: []byte("greeting"), Value: []byte({value})}}
	if err := client.ProduceSync(context.Background(), record).FirstErr(); err != nil {{
		log.Fatal(err)
	}}
	fmt.Printf("written to partition %d at offset %d\\n", record.Partition, record.Offset)"""
    return _go(connection, ("kgo", "sasl/plain"), (), work)


def go_consume(connection: Connection) -> str:
    options = (
        f"kgo.ConsumeTopics({text_literal(connection.topic)})",
        f"kgo.ConsumerGroup({text_literal(connection.group)})",
        "kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())",
    )
    work = """
	for {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			log.Fatal(err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Printf("%s %s\\n", record.Key, record.Value)
		})
	}"""
    return _go(connection, ("kgo", "sasl/plain"), options, work)


# Node

_NODE_IMPORTS = {
    False: 'import kafkajs from "kafkajs";',
    True: 'import { readFileSync } from "node:fs";\nimport kafkajs from "kafkajs";',
}


def _node(connection: Connection, file: str, work: str) -> str:
    brokers = ", ".join(text_literal(server) for server in connection.servers)
    ssl = f"{{ ca: [readFileSync({text_literal(CA_FILE)})] }}" if connection.tls else "false"
    return f"""
// {file}: node knows by its name that it is a module.
{_NODE_IMPORTS[connection.tls]}

const kafka = new kafkajs.Kafka({{
  brokers: [{brokers}],
  ssl: {ssl},
  sasl: {{
    mechanism: "plain",
    username: {text_literal(connection.username)},
    password: {text_literal(connection.password)},
  }},
}});

{work.strip(chr(10))}
"""


def node_produce(connection: Connection) -> str:
    return _node(
        connection,
        "produce.mjs",
        f"""
const producer = kafka.producer();
await producer.connect();
const [where] = await producer.send({{
  topic: {text_literal(connection.topic)},
  messages: [{{ key: "greeting", value: {text_literal(GREETING)} }}],
}});
console.log(`written to partition ${{where.partition}} at offset ${{where.baseOffset}}`);
await producer.disconnect();
""",
    )


def node_consume(connection: Connection) -> str:
    return _node(
        connection,
        "consume.mjs",
        f"""
const consumer = kafka.consumer({{ groupId: {text_literal(connection.group)} }});
await consumer.connect();
await consumer.subscribe({{ topics: [{text_literal(connection.topic)}], fromBeginning: true }});
await consumer.run({{
  eachMessage: async ({{ message }}) => console.log(String(message.key), String(message.value)),
}});
""",
    )
