# SPDX-License-Identifier: MIT
"""What is no request, or none that http_callbacks takes."""

# What it is: the bytes. Answered by 400.
GARBAGE = {
    'an empty line': b'\r\n',
    'a NUL': b'\0',
    'a bare line feed': b'GET / HTTP/1.1\nHost: x\r\n\r\n',
    'a bare line feed after a header': b'GET / HTTP/1.1\r\nHost: x\n\r\n',
    'a bare carriage return': b'GET / HTTP/1.1\rHost: x\r\n\r\n',
    'a carriage return in a header': b'GET / HTTP/1.1\r\nA: b\rc\r\n\r\n',
    'a NUL in a header': b'GET / HTTP/1.1\r\nA: b\0c\r\n\r\n',
    'a TLS hello': bytes.fromhex('16030100c8010000c40303') + bytes(range(64)),
    'a TLS hello of SSL 2': bytes.fromhex('802e0100020015000000'),
    'an escape sequence': b'\x1b[2J',
    'no version': b'GET /\r\n',
    'no target': b'GET  HTTP/1.1\r\n',
    'no blank': b'GET\r\n',
    'two blanks': b'GET  / HTTP/1.1\r\n',
    'a blank in the target': b'GET /a b HTTP/1.1\r\n',
    'a tab in the target': b'GET /a\tb HTTP/1.1\r\n',
    'a blank in front': b' GET / HTTP/1.1\r\n',
    'a blank behind': b'GET / HTTP/1.1 \r\n',
    'another protocol': b'GET / SIP/2.0\r\n',
    'a version in small letters': b'GET / http/1.1\r\n',
    'a method that is none': b'G(T / HTTP/1.1\r\n',
    'a header without a colon': b'GET / HTTP/1.1\r\nHost\r\n',
    'a header without a name': b'GET / HTTP/1.1\r\n: x\r\n',
    'a blank before the colon': b'GET / HTTP/1.1\r\nHost : x\r\n',
    'a folded header': b'GET / HTTP/1.1\r\nA: b\r\n c\r\n',
    'a negative length': b'GET / HTTP/1.1\r\nContent-Length: -1\r\n',
    'a length with a sign': b'GET / HTTP/1.1\r\nContent-Length: +5\r\n',
    'a length in hex': b'GET / HTTP/1.1\r\nContent-Length: 0x10\r\n',
    'an empty length': b'GET / HTTP/1.1\r\nContent-Length:\r\n',
    'two lengths': b'GET / HTTP/1.1\r\nContent-Length: 0, 5\r\n',
    'a length with letters': b'GET / HTTP/1.1\r\nContent-Length: 5x\r\n',
}

# What it is: the bytes, and the status that answers them.
REFUSED = {
    'a long line': (b'GET /' + b'a' * 9000, 431),
    'a long header': (b'GET / HTTP/1.1\r\nA: ' + b'b' * 9000, 431),
    'many headers': (b'GET / HTTP/1.1\r\n' + b'A: b\r\n' * 2000, 431),
    'a very long line': (b'A' * 5_000_000, 431),
    'a POST': (b'POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nx=1', 405),
    'a method unheard of': (b'BREW /pot HTTP/1.1\r\n', 405),
    'a CONNECT': (b'CONNECT x:443 HTTP/1.1\r\n', 405),
    'a method in small letters': (b'get / HTTP/1.1\r\n', 405),
    'HTTP/2': (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505),
    'HTTP/1.2': (b'GET / HTTP/1.2\r\n', 505),
    'a body': (b'GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello', 413),
    'a huge length': (b'GET / HTTP/1.1\r\nContent-Length: ' + b'9' * 40 + b'\r\n', 413),
    'chunks': (b'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 501),
    'length and chunks': (b'GET / HTTP/1.1\r\nContent-Length: 0\r\n'
                          b'Transfer-Encoding: chunked\r\n\r\n', 501),
    **{name: (text, 400) for name, text in GARBAGE.items()},
}
