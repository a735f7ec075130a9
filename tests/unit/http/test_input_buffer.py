from cvmproxy.http.input_buffer import InputBuffer


def test_block_is_taken_out_of_one_piece() -> None:
    buffer = InputBuffer()
    buffer.append(b"ab;cd;e")
    assert buffer.take_block(b";", 10) == b"ab;"
    assert buffer.take_block(b";", 10) == b"cd;"
    assert buffer.take_block(b";", 10) is None
    assert bytes(buffer.held) == b"e"


def test_delimiter_across_pieces() -> None:
    buffer = InputBuffer()
    for piece in (b"a\r", b"", b"\n\r", b"\nbc", b"d"):
        buffer.append(piece)
    assert len(buffer) == 8
    assert buffer.take_block(b"\r\n\r\n", 5) == b"a\r\n\r\n"
    assert [buffer.take_slice(9), buffer.take_slice(9), buffer.take_slice(9)] == [b"bcd", b"", b""]


def test_limit_counts_the_delimiter() -> None:
    for pieces in ([b"abc;"], [b"abc", b";"], [b"a", b"b", b"c", b";"]):
        for limit, expected in ((4, b"abc;"), (3, None)):
            buffer = InputBuffer()
            for piece in pieces:
                buffer.append(piece)
            assert buffer.take_block(b";", limit) == expected
            if expected is None:
                assert bytes(buffer.held) == b"abc"


def test_slices_are_pieces_or_parts_of_them() -> None:
    buffer = InputBuffer()
    piece = b"abcdef"
    buffer.append(piece)
    assert buffer.take_slice(6) is piece
    buffer.append(piece)
    assert buffer.take_slice(2) == b"ab"
    buffer.append(b"gh")
    assert buffer.take_slice(100) == b"cdef"
    assert buffer.take_slice(100) == b"gh"
    assert len(buffer) == 0


def test_everything() -> None:
    buffer = InputBuffer()
    buffer.append(b"ab")
    assert buffer.take_block(b";", 9) is None
    buffer.append(b"cd")
    buffer.append(b"ef")
    assert buffer.take_all() == b"abcdef"
    assert len(buffer) == 0
    buffer.append(b"g")
    assert buffer.take_all() == b"g"


def test_tiny_pieces_that_wait_are_joined() -> None:
    buffer = InputBuffer()
    for _ in range(30_000):
        buffer.append(b"ab")
        assert len(buffer) <= 60_000
    slices = []
    while piece := buffer.take_slice(100_000):
        slices.append(piece)
        assert len(buffer) == 60_000 - sum(map(len, slices))
    assert len(slices) < 20
    assert b"".join(slices) == b"ab" * 30_000
