"""Text that leaves a context: `python3 -m unittest discover plugins/sdk-python`."""

import unittest
from dataclasses import dataclass
from types import ModuleType

from seam_sdk.packed import decode, encode
from seam_sdk.text import speaking, well_formed


@dataclass
class Album:
    title: str
    tracks: list[str]


class Text(unittest.TestCase):
    def test_half_a_pair_becomes_the_replacement_character_and_a_whole_one_stays(self) -> None:
        for text, expected in [
            ("ab\ud83dcd", "ab\ufffdcd"),
            ("\ude00", "\ufffd"),
            ("\ud83d\ude00", "😀"),
            ("x\udcff", "x\ufffd"),
            ("ünï→😀", "ünï→😀"),
        ]:
            self.assertEqual(well_formed(text), expected)

    def test_texts_in_lists_tuples_and_records_are_well_formed(self) -> None:
        self.assertEqual(well_formed([("a\ud83d", 1)]), [("a\ufffd", 1)])
        self.assertEqual(well_formed(Album("\ud83d", ["b", "\ude00"])), Album("\ufffd", ["b", "\ufffd"]))

    def test_what_needs_no_change_is_the_same_value(self) -> None:
        for value in [Album("a", ["b"]), ["a"], ("a",), b"\xff", None, 1.5, Album]:
            self.assertIs(well_formed(value), value)

    def test_a_packed_text_is_well_formed(self) -> None:
        self.assertEqual(decode(encode([("a\ud83d",)])), [("a\ufffd",)])

    def test_an_imported_interface_is_given_well_formed_texts(self) -> None:
        notes = ModuleType("notes")
        exec("def put(note, count): return [note] * count\nclass Note: pass", vars(notes))
        note = notes.Note
        speaking(notes)
        self.assertEqual(notes.put("a\ud83d", 2), ["a\ufffd", "a\ufffd"])
        self.assertIs(notes.Note, note)


if __name__ == "__main__":
    unittest.main()
