"""The codec alone: `python3 -m unittest discover plugins/sdk-python`."""

import unittest

from seam_sdk.packed import decode, encode


class Packed(unittest.TestCase):
    def test_decoding_returns_the_encoded_values(self) -> None:
        rows = [
            (None, 0, -1, 2**63 - 1, -(2**63), 0.5, -1e300, "", "ünï→😀", b"\0\xff"),
            (True, False, 7, 1, 2, float("inf"), 0.0, "\0", "x" * 10_000, b""),
        ]
        self.assertEqual(decode(encode(rows)), rows)

    def test_the_bytes_have_the_encoding_of_the_interface(self) -> None:
        expect = b"\5\0\0\0" b"\0" b"\1\xfe\xff\xff\xff\xff\xff\xff\xff" b"\2\0\0\0\0\0\0\xf8\x3f"
        self.assertEqual(encode([(None, -2, 1.5, "é", b"\t")]), expect + b"\3\2\0\0\0\xc3\xa9" b"\4\1\0\0\0\t")

    def test_no_rows_encode_to_none_and_a_header_alone_decodes_to_no_rows(self) -> None:
        self.assertIsNone(encode([]))
        self.assertEqual(decode(b"\3\0\0\0"), [])

    def test_values_that_a_row_cannot_hold_are_refused(self) -> None:
        for row in [(float("nan"),), ({},), (2**63,)]:
            with self.subTest(row), self.assertRaises(Exception):
                encode([row])
        with self.assertRaises(ValueError):
            encode([(1,), (1, 2)])

    def test_rows_that_end_too_early_or_have_an_unknown_kind_are_refused(self) -> None:
        data = encode([("text", 7)])
        for length in range(5, len(data)):
            with self.subTest(length), self.assertRaises(Exception):
                decode(data[:length])
        with self.assertRaises(ValueError):
            decode(b"\1\0\0\0\7")


if __name__ == "__main__":
    unittest.main()
