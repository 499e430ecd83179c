#!/usr/bin/env python3
"""The comparison of the model with the code, and the reading of spin's reports, can fail."""

import unittest

import code_table
import spin

STATES = ["none", "setup", "active", "failed"]
HEADER = "enum class MigrationState {\n    none,   ///< x\n    setup,  ///< y\n};\n"
ARRAY = """constexpr std::array<Transition, 2> transitions{{
    {none, setup},
    {setup, active},  // why
}};
"""
REPORT = """
State-vector 84 byte, depth reached 12, errors: 0
      345 states, stored
      678 transitions (= stored+matched)
  105.1\ttotal actual memory usage
"""


class Table(unittest.TestCase):
    def test_reads_each_entry(self) -> None:
        self.assertEqual(code_table.table(ARRAY, STATES), {("none", "setup"), ("setup", "active")})
        self.assertEqual(code_table.enumerators(HEADER, "MigrationState"), ["none", "setup"])

    def test_refuses_another_shape(self) -> None:
        for changed in (ARRAY.replace("2>", "3>"), ARRAY.replace("{setup, active},", "{setup, active, why},"),
                        ARRAY.replace("active", "unheard"), ARRAY.replace("{setup, active}", "{none, setup}"),
                        ARRAY.replace("constexpr", "const"), ""):
            with self.assertRaises(code_table.ShapeError, msg=changed):
                code_table.table(changed, STATES)
        with self.assertRaises(code_table.ShapeError):
            code_table.enumerators(HEADER.replace("none,", "none = 1,"), "MigrationState")

    def test_reads_the_model(self) -> None:
        texts = {"a.pml": "transition(SOURCE, none, setup); if :: transition(SOURCE, setup, active) fi"}
        self.assertEqual(code_table.model_transitions(texts), {("SOURCE", "none", "setup"), ("SOURCE", "setup", "active")})
        for hidden in ("transition(SOURCE, none, setup); transition(x)", "state[SOURCE] = st_failed"):
            with self.assertRaises(code_table.ShapeError):
                code_table.model_transitions({"a.pml": hidden})
        self.assertEqual(code_table.model_states(code_table.model_text())[0], "none")


class Comparison(unittest.TestCase):
    CODE = {("none", "setup"), ("setup", "active"), ("failed", "setup")}
    MODEL = {("S", "none", "setup"), ("S", "setup", "active"), ("D", "setup", "active")}
    LEFT_OUT = {("failed", "setup"): "for a reason"}

    def complaints(self, code=None, model=None, taken=None, left_out=None) -> int:
        model = self.MODEL if model is None else model
        return len(code_table.compare(self.CODE if code is None else code, model, model if taken is None else taken,
                                      self.LEFT_OUT if left_out is None else left_out))

    def test_no_difference_is_fine(self) -> None:
        self.assertEqual(self.complaints(), 0)

    def test_each_difference_is_found(self) -> None:
        self.assertEqual(self.complaints(code=self.CODE | {("active", "failed")}), 1)
        self.assertEqual(self.complaints(code=self.CODE - {("setup", "active")}), 1)
        self.assertEqual(self.complaints(model=self.MODEL | {("D", "active", "failed")}), 1)
        self.assertEqual(self.complaints(model=self.MODEL - {("S", "none", "setup")}), 1)

    def test_what_is_left_out_is_listed_and_nothing_else_is(self) -> None:
        self.assertEqual(self.complaints(left_out={}), 1)
        self.assertEqual(self.complaints(code=self.CODE - {("failed", "setup")}), 1)
        self.assertEqual(self.complaints(model=self.MODEL | {("S", "failed", "setup")}), 1)

    def test_each_side_takes_all_its_transitions(self) -> None:
        self.assertEqual(self.complaints(taken=self.MODEL - {("D", "setup", "active")}), 1)


class Reports(unittest.TestCase):
    def test_reads_the_figures(self) -> None:
        found = spin.parse("x", REPORT + "reached step a\n", 1.0)
        self.assertEqual((found.error, found.notes), ("", {"step a"}))
        self.assertEqual((found.states, found.transitions, found.depth), (345, 678, 12))

    def test_reads_an_error(self) -> None:
        report = "pan:1: invalid end state (at depth 9)\nWarning: Search not completed\n" + REPORT
        self.assertEqual(spin.parse("x", report.replace("errors: 0", "errors: 1"), 1.0).error, "invalid end state")

    def test_a_search_cut_short_proves_nothing(self) -> None:
        for report in ("error: max search depth too small\n" + REPORT, "Warning: Search not completed\n" + REPORT,
                       REPORT.replace("stored\n", ""), REPORT.replace("errors: 0", "errors: 1"), ""):
            with self.assertRaises(spin.SpinError, msg=report):
                spin.parse("x", report, 1.0)


if __name__ == "__main__":
    unittest.main()
