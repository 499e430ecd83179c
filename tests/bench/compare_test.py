#!/usr/bin/env python3
"""What bench/compare makes of measured values: aims, the table, plots, documents, and how it goes through its work."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

# pylint: disable=wrong-import-position
from comparing import command, engine, growth, memory_moves, plots, records, rows, svg, table  # noqa: E402
from comparing.document import Document  # noqa: E402
from comparing.records import GODWIT, QEMU, Aim, Record  # noqa: E402

RUN = {"machine": {"kernel": "6.1", "cpu": "a processor", "cores": 2, "memory_mib": 4096},
       "versions": {"godwit": "godwit 1", "QEMU": "QEMU 7.2"}, "rounds": 3, "quick": False}


def record(name="ram-tcp-2g", godwit=(1.0, 1.1, 0.9), qemu=(2.0, 1.5, 1.6), **members):
    return Record(name, "what it is", members.pop("unit", "s"), {GODWIT: list(godwit), QEMU: list(qemu)}, **members)


def document(*those):
    made = Document()
    made.runs["2026-01-01"] = RUN
    made.add(those, "2026-01-01")
    return made


class Aims(unittest.TestCase):
    def reached(self, aim, **members):
        return record(**members).reached(aim)

    def test_times_better_of_times(self):
        self.assertTrue(self.reached(records.times_better(1.6, QEMU)))
        self.assertFalse(self.reached(records.times_better(1.61, QEMU)))

    def test_times_better_of_rates(self):
        self.assertFalse(self.reached(records.times_better(1, QEMU), better="higher"))
        self.assertTrue(self.reached(records.times_better(0.6, QEMU), better="higher"))

    def test_at_most_times(self):
        self.assertTrue(self.reached(records.at_most_times(0.63, QEMU)))
        self.assertFalse(self.reached(records.at_most_times(0.62, QEMU)))

    def test_at_most(self):
        self.assertTrue(self.reached(records.at_most(1, "s")))
        self.assertFalse(self.reached(records.at_most(0.99, "s")))

    def test_a_missing_party_leaves_it_open(self):
        self.assertIsNone(self.reached(records.times_better(1, "bare copy")))

    def test_ending_where_the_other_does(self):
        aim = Aim("ends where QEMU does", "ends", 0, QEMU)
        self.assertTrue(self.reached(aim, godwit=(None,), qemu=(None, None)))
        self.assertFalse(self.reached(aim, godwit=(1.0, None), qemu=(None, 3.0)))
        self.assertTrue(self.reached(aim, godwit=(1.0, 2.0), qemu=(None, 3.0)))

    def test_ending_always(self):
        aim = Aim("ends", "ends", 1, QEMU)
        self.assertFalse(self.reached(aim, godwit=(None, 1.0), qemu=(None, None)))
        self.assertTrue(self.reached(aim, godwit=(1.0,), qemu=(None,)))

    def test_no_end_is_later_than_any(self):
        self.assertFalse(self.reached(records.times_better(0.1, QEMU), godwit=(None, None, 1.0)))
        self.assertTrue(self.reached(records.times_better(50, QEMU), qemu=(None, None)))
        self.assertIsNone(self.reached(records.times_better(1, QEMU), godwit=(None,), qemu=(None,)))


class Tables(unittest.TestCase):
    def test_a_row(self):
        line = table.row(record(aims=[records.times_better(1.2, QEMU), records.at_most(0.5, "s")], notes=["a note"]))
        self.assertEqual(line, "| ram-tcp-2g | what it is; a note | 1.00 s (0.900 to 1.10) | 1.60 s (1.50 to 2.00) |  | 1.60; – "
                               "| ≥ 1.2 × QEMU; ≤ 0.5 s | yes; **no** |")

    def test_rounds_that_did_not_end(self):
        line = table.row(record(godwit=(1.0, None), qemu=(None, None)))
        self.assertIn("| 1.00 s, 1 of 2 ended | none of 2 ended |", line)

    def test_fresh_rows_are_a_table_of_their_own(self):
        text = table.render(document(record(), record("fresh-ram-tcp-2g", table=records.FRESH)))
        self.assertEqual(text.count(table.HEAD[0]), 2)

    def test_what_was_left_out_and_where_it_was_measured(self):
        made = document(record())
        made.leave_out(["ram-tcp-8g", "ram-unix-8g"], "no memory")
        text = table.render(made)
        self.assertIn("- ram-tcp-8g, ram-unix-8g: no memory", text)
        self.assertIn("- 2026-01-01: godwit 1, QEMU 7.2; a processor, 2 cores, 4 GiB, Linux 6.1; rounds: 3. Rows: ram-tcp-2g.", text)


class Documents(unittest.TestCase):
    def test_merging_keeps_what_is_new(self):
        former = document(record(godwit=(5.0,)), record("downtime-2g"))
        former.leave_out(["rdma-verbs-pinned"], "no device")
        new = document(record())
        new.merge(former)
        self.assertEqual(new.records["ram-tcp-2g"].median(GODWIT), 1.0)
        self.assertEqual(set(new.records), {"ram-tcp-2g", "downtime-2g"})
        self.assertEqual(new.left_out, {"rdma-verbs-pinned": "no device"})

    def test_writing_and_reading(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "compare.json"
            made = document(record(godwit=(1.0, None), aims=[records.times_better(2, QEMU)], series={GODWIT: [[0.5, [1.0]]]}, series_unit="s"))
            made.write(path)
            self.assertEqual(table.render(Document.read(path)), table.render(made))
            path.write_text('{"format": 99}', encoding="utf-8")
            with self.assertRaisesRegex(ValueError, "format 99"):
                Document.read(path)


class Plots(unittest.TestCase):
    def test_every_plot_is_xml_and_has_its_values(self):
        times = {GODWIT: [[0.25, [0.1, 0.2]], [8.0, [3.0]]]}
        busy = [record(f"dirty-{percent}-downtime", unit="ms") for percent in (5, 80)]
        drawn = plots.draw(document(record(), record("downtime-2g", unit="ms"), *busy, record("growth-time", series=times, series_unit="s")))
        self.assertEqual(sorted(drawn), ["dirtying-downtime.svg", "downtime.svg", "growth-time.svg", "ram.svg"])
        for image in drawn.values():
            xml.dom.minidom.parseString(image)
        self.assertIn("tcp-2g, godwit: 1 s", drawn["ram.svg"])
        self.assertEqual(drawn["growth-time.svg"].count("<circle"), 2)

    def test_what_never_ended_is_not_drawn(self):
        self.assertEqual(plots.draw(document(record(godwit=(None,), qemu=(None,)))), {})

    def test_ticks_reach_over_the_greatest_value(self):
        for high in (0.003, 1, 7.2, 999, 12345):
            axis = svg.Axis(0, high, 300, 0)
            self.assertGreaterEqual(axis.ticks[-1], high * 0.999)
            self.assertLessEqual(len(axis.ticks), 7)
            self.assertEqual(axis.at(0), 300)


class FakeWork(engine.Work):
    parties = ("a", "b", "c")

    def __init__(self, name="fake-row", error=None, file_bytes=0):
        self.names = (name,)
        self.calls = []
        self.error = error
        self.file_bytes = file_bytes

    def measure(self, setting, party):
        self.calls.append(party)
        if self.error:
            raise self.error
        return len(self.calls)

    def records(self, samples):
        return [Record(self.names[0], "", "s", samples)]


class FakeSetting:
    rounds = 3

    def __init__(self):
        self.cleared = 0

    def clear(self):
        self.cleared += 1


class Engine(unittest.TestCase):
    def run_quietly(self, works):
        setting, kept, left = FakeSetting(), [], []
        with contextlib.redirect_stderr(io.StringIO()):
            engine.run(works, setting, kept.extend, lambda work, reason, failed: left.append((work.names[0], reason, failed)))
        return setting, kept, left

    def test_each_round_begins_with_another_party(self):
        work = FakeWork()
        _, kept, _ = self.run_quietly([work])
        self.assertEqual("".join(work.calls), "abcbcacab")
        self.assertEqual(kept[0].values, {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]})

    def test_long_work_has_fewer_rounds(self):
        work = FakeWork()
        work.most_rounds = 2
        self.run_quietly([work])
        self.assertEqual("".join(work.calls), "abcbca")

    def test_one_that_fails_leaves_the_others(self):
        setting, kept, left = self.run_quietly([FakeWork("bad", ValueError("why")), FakeWork("ended", SystemExit(1)), FakeWork("good")])
        self.assertEqual([one.name for one in kept], ["good"])
        self.assertEqual(left, [("bad", "it failed: why", True), ("ended", "it failed, see above", True)])
        self.assertEqual(setting.cleared, 3)

    def test_an_interrupt_ends_it_and_the_files_are_gone(self):
        setting = FakeSetting()
        with self.assertRaises(KeyboardInterrupt), contextlib.redirect_stderr(io.StringIO()):
            engine.run([FakeWork("bad", KeyboardInterrupt())], setting, self.fail, self.fail)
        self.assertEqual(setting.cleared, 1)

    def test_a_row_that_needs_more_memory_than_there_is_is_left_out(self):
        work = FakeWork("huge", file_bytes=1 << 60)
        _, kept, left = self.run_quietly([work])
        self.assertEqual((kept, work.calls), ([], []))
        self.assertRegex(left[0][1], "of memory are needed")


class Rows(unittest.TestCase):
    def test_names_are_unique(self):
        for quick, sizes in ((False, command.SIZES), (True, command.QUICK_SIZES)):
            names = [name for work in rows.works(sizes, quick) for name in work.names]
            self.assertEqual(len(names), len(set(names)))

    def test_selection(self):
        works = rows.works(command.SIZES, False)
        chosen, unknown = rows.select(works, ["ram-tcp", "*-source-8g", "nothing"])
        self.assertEqual([name for work in chosen for name in work.names],
                         ["ram-tcp-2g", "cpu-tcp-2g", "ram-tcp-8g", "cpu-tcp-8g", "memory-source-8g", "memory-destination-8g"])
        self.assertEqual(unknown, ["nothing"])


class Files(unittest.TestCase):
    def test_zeros_are_told_from_others_and_holes_stay(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "memory"
            memory_moves.make_holes(path, 8 << 20)
            self.assertTrue(memory_moves.all_zero(path))
            self.assertEqual(path.stat().st_blocks, 0)
            with open(path, "r+b") as file:
                file.seek(5 << 20)
                file.write(b"\0" * 4096)
            self.assertTrue(memory_moves.all_zero(path))
            memory_moves.poke(path, 8 << 20)
            self.assertFalse(memory_moves.all_zero(path))

    def test_the_fit_of_a_line(self):
        constant, slope = growth.fit([[1, [3.0, 100.0, 2.0]], [2, [5.0]], [4, [9.0]]])
        self.assertAlmostEqual(constant, 1.0)
        self.assertAlmostEqual(slope, 2.0)


if __name__ == "__main__":
    unittest.main()
