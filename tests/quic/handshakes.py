"""A real QUIC server or client (aioquic) for tests/tests/it/wire/quic.rs.

    handshakes.py server CERTIFICATE KEY [--retry]
    handshakes.py client ADDRESS NUMBER [--large] [--without-id]

The server says "listening" and goes on until it is killed. The client makes so
many handshakes with it, one after the other, and says as one line of JSON how many
succeeded, how many datagrams it sent, and how many of them before the server's first.
"""

import argparse
import asyncio
import json
import ssl

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic.configuration import QuicConfiguration

PORT = 443
# Seconds for a handshake: on one host it takes a hundredth of one.
PATIENCE = 5
# Names so long that a ClientHello doesn't fit one datagram, as the key shares of
# ML-KEM make it.
LARGE = ["x" * 200 + str(number) for number in range(8)]


class Sent:
    """Datagrams that went out."""

    all = 0
    hello = 0


class Client(QuicConnectionProtocol):
    def __init__(self, quic, stream_handler=None):
        super().__init__(quic, stream_handler)
        self._answered = False
        if not quic.configuration.connection_id_length:
            # Who has no id gives out no further ones (RFC 9000 §19.15); aioquic would.
            quic._replenish_connection_ids = lambda: None

    def connection_made(self, transport):
        super().connection_made(transport)
        sendto = transport.sendto

        def counted(data, *rest):
            Sent.all += 1
            Sent.hello += not self._answered
            sendto(data, *rest)

        transport.sendto = counted

    def datagram_received(self, data, address):
        self._answered = True
        super().datagram_received(data, address)


async def server(arguments):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
    configuration.load_cert_chain(arguments.certificate, arguments.key)
    await serve("::", PORT, configuration=configuration, retry=arguments.retry)
    print("listening", flush=True)
    await asyncio.Future()


async def handshake(arguments):
    configuration = QuicConfiguration(
        alpn_protocols=["h3"] + (LARGE if arguments.large else []),
        connection_id_length=0 if arguments.without_id else 8,
        verify_mode=ssl.CERT_NONE,
    )
    client = connect(
        arguments.address,
        PORT,
        configuration=configuration,
        create_protocol=Client,
    )
    async with asyncio.timeout(PATIENCE):
        async with client as connection:
            await connection.ping()


async def client(arguments):
    succeeded = 0
    for _ in range(arguments.number):
        try:
            await handshake(arguments)
            succeeded += 1
        except (TimeoutError, ConnectionError):
            pass
    print(json.dumps({"succeeded": succeeded, "datagrams": Sent.all, "hello": Sent.hello}))


def main():
    parser = argparse.ArgumentParser()
    ways = parser.add_subparsers(required=True)
    way = ways.add_parser("server")
    way.add_argument("certificate")
    way.add_argument("key")
    way.add_argument("--retry", action="store_true")
    way.set_defaults(run=server)
    way = ways.add_parser("client")
    way.add_argument("address")
    way.add_argument("number", type=int)
    way.add_argument("--large", action="store_true")
    way.add_argument("--without-id", action="store_true")
    way.set_defaults(run=client)
    arguments = parser.parse_args()
    asyncio.run(arguments.run(arguments))


main()
