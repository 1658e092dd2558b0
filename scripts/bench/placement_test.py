"""When a block counts."""

import unittest

import placement


class Blocks(unittest.TestCase):
    def place(self, distances, patience=10, before=(100,) * 8):
        self.slept = []
        ways = iter(distances)
        return placement.Placement([0, 1], patience, before, measure=lambda _: next(ways), sleep=self.slept.append)

    def test_next_to_each_other(self):
        place = self.place([100, 90])
        self.assertEqual(place.blocks(lambda: 7), [((100, 90), 7)])
        self.assertEqual(place.split([((100, 90), 7), ((90, 160), 8), ((160, 90), 9)]), ([7], [8, 9]))

    def test_waits_until_they_are(self):
        place = self.place([220, 220, 95, 91])
        self.assertEqual(place.blocks(lambda: 2), [((95, 91), 2)])
        self.assertEqual((self.slept, place.patience), ([1, 1], 8))

    def test_repeats_a_block_in_which_they_parted(self):
        place = self.place([90, 220, 90, 92])
        results = iter([1, 2])
        blocks = place.blocks(lambda: next(results))
        self.assertEqual(blocks, [((90, 220), 1), ((90, 92), 2)])
        self.assertEqual(place.split(blocks), ([2], [1]))

    def test_gives_up(self):
        place = self.place([220] * 20, patience=3)
        self.assertEqual(place.blocks(lambda: 2), [((220, 220), 2)])
        self.assertEqual(place.blocks(lambda: 3), [((220, 220), 3)])
        self.assertEqual(self.slept, [1, 1, 1])

    def test_one_core_is_not_two(self):
        place = self.place([50, 90, 90], patience=1)
        self.assertEqual(place.blocks(lambda: 1), [((90, 90), 1)])
        self.assertEqual(place.usual(), 90)

    def test_looks_for_what_is_usual(self):
        place = self.place([220, 220, 90, 90, 90, 220, 220, 220, 90, 90], before=())
        self.assertEqual(place.usual(), 90)
        self.assertEqual(place.blocks(lambda: 1), [((90, 90), 1)])

    def test_one_cpu_is_never_apart(self):
        place = placement.Placement([0], 10, sleep=lambda _: None)
        self.assertEqual(place.blocks(lambda: 1), [((0, 0), 1)])


if __name__ == "__main__":
    unittest.main()
