"""FF1 of NIST SP 800-38G r1 over many numeral strings of one length at once: the same format, another value.

FF3 is not here: it is withdrawn. FF1 can be reversed with its key, so its output is a pseudonym
until the key is destroyed.
"""

from typing import TYPE_CHECKING

import numpy as np

from deleatur.desensitize.cmac import BLOCK, BlockCipher

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]
    Numerals = npt.NDArray[np.uint8]

SMALLEST_DOMAIN = 1_000_000  # NIST SP 800-38G r1 §5.1: radix^minlen
_ROUNDS = 10  # SP 800-38G algorithm 7
_LARGEST_HALF = 1 << 56  # so that a remainder and eight more bits fit into a word of 64
_ROWS = 1 << 16  # rows at a time: their blocks stay in the processor's cache


class Ff1:
    """FF1 under one key and tweak, for numerals 0 … radix-1."""

    def __init__(self, key: bytes, radix: int, tweak: bytes = b"") -> None:
        if not 2 <= radix <= 256:
            raise ValueError("the radix must be 2 to 256")
        self._cipher = BlockCipher(key)
        self._radix = radix
        self._tweak = tweak

    def shortest(self) -> int:
        """Return the fewest numerals that the standard allows."""
        length = 2
        while self._radix**length < SMALLEST_DOMAIN:
            length += 1
        return length

    def longest(self) -> int:
        """Return the most numerals that this implementation takes: a half must stay below 2^56."""
        half = 1
        while self._radix ** (half + 1) < _LARGEST_HALF:
            half += 1
        return 2 * half

    def encrypt(self, numerals: "Numerals") -> "Numerals":
        """Return the numeral strings, one a row, encrypted.

        Raises:
            ValueError: they are shorter than `shortest` or longer than `longest`.
        """
        return self._batches(numerals, range(_ROUNDS))

    def decrypt(self, numerals: "Numerals") -> "Numerals":
        """Return what `encrypt` was given.

        Raises:
            ValueError: they are shorter than `shortest` or longer than `longest`.
        """
        return self._batches(numerals, range(_ROUNDS - 1, -1, -1))

    def _batches(self, numerals: "Numerals", rounds: range) -> "Numerals":
        length = numerals.shape[1]
        if not self.shortest() <= length <= self.longest():
            raise ValueError(
                f"FF1 of radix {self._radix} takes {self.shortest()} to {self.longest()} numerals"
            )
        out = np.empty_like(numerals)
        for start in range(0, len(numerals), _ROWS):
            out[start : start + _ROWS] = self._rows(numerals[start : start + _ROWS], rounds)
        return out

    def _rows(self, numerals: "Numerals", rounds: range) -> "Numerals":
        length = numerals.shape[1]
        left, right = length // 2, length - length // 2
        function = _RoundFunction(self._cipher, self._radix, self._tweak, left, right)
        a, b = self._number(numerals[:, :left]), self._number(numerals[:, left:])
        for i in rounds:
            modulus = np.uint64(self._radix ** (right if i % 2 else left))
            if rounds.step > 0:
                a, b = b, (a + function.of(i, b, modulus)) % modulus
            else:
                a, b = (b + modulus - function.of(i, a, modulus)) % modulus, a
        out = np.empty_like(numerals)
        self._spell(a, out[:, :left])
        self._spell(b, out[:, left:])
        return out

    def _number(self, numerals: "Numerals") -> "Words":
        number = np.zeros(len(numerals), np.uint64)
        for column in range(numerals.shape[1]):
            number = number * np.uint64(self._radix) + numerals[:, column]
        return number

    def _spell(self, number: "Words", out: "Numerals") -> None:
        for column in range(out.shape[1] - 1, -1, -1):
            number, out[:, column] = np.divmod(number, np.uint64(self._radix))


class _RoundFunction:
    """Steps 2 to 6 of algorithm 7: what does not depend on the round or the value is encrypted once."""

    def __init__(self, cipher: BlockCipher, radix: int, tweak: bytes, left: int, right: int) -> None:
        self._cipher = cipher
        self._width = (int(radix**right - 1).bit_length() + 7) // 8  # b, at most 7 bytes
        self._long = self._width > 4  # d = 4⌈b/4⌉ + 4: 8 bytes, or 12
        head = bytes((1, 2, 1)) + radix.to_bytes(3, "big") + bytes((_ROUNDS, left % 256))
        head += (left + right).to_bytes(4, "big") + len(tweak).to_bytes(4, "big")
        body = tweak + bytes((-len(tweak) - self._width - 1) % BLOCK)
        whole = len(body) // BLOCK * BLOCK
        state = bytes(BLOCK)
        for start in range(0, BLOCK + whole, BLOCK):
            block = np.frombuffer((head + body)[start : start + BLOCK], np.uint64)
            mixed = (np.frombuffer(state, np.uint64) ^ block).reshape(1, 2)
            state = cipher.encrypt(mixed).tobytes()
        last = (body[whole:] + bytes(BLOCK))[:BLOCK]
        constant = bytes(x ^ y for x, y in zip(state, last, strict=True))
        self._high, self._low = (int.from_bytes(half, "big") for half in (constant[:8], constant[8:]))

    def of(self, i: int, number: "Words", modulus: "np.uint64") -> "Words":
        """Return y mod the modulus for round `i`."""
        shift = 8 * self._width  # the round's number stands just before the b bytes of the value
        blocks = np.empty((number.size, 2), ">u8")
        blocks[:, 0] = self._high
        blocks[:, 1] = number ^ np.uint64(self._low ^ i << shift)
        answer = self._cipher.encrypt(blocks.view(np.uint64)).view(">u8")
        y = answer[:, 0].astype(np.uint64) % modulus
        if self._long:
            tail = answer[:, 1].astype(np.uint64)
            for bits in (56, 48, 40, 32):
                y = ((y << np.uint64(8)) | (tail >> np.uint64(bits)) & np.uint64(255)) % modulus
        return y
