#!/usr/bin/env python3
"""The style tests find what they are there to find."""

import unittest

import include_rule
import documentation
import neatness
import tree


class IncludeRule(unittest.TestCase):
    def complaints(self, path: str, text: str) -> int:
        return len(include_rule.check(path, text))

    def test_allows_the_public_api_and_earlier_folders(self) -> None:
        self.assertEqual(self.complaints("src/ram/a.cpp", '#include "godwit/units.h"\n#include "stream/b.h"\n#include "ram/a.h"\n'), 0)

    def test_refuses_later_folders(self) -> None:
        self.assertEqual(self.complaints("src/ram/a.h", '#include "migration/b.h"\n'), 1)
        self.assertEqual(self.complaints("src/monitor/a.h", '#include "machine/b.h"\n'), 1)

    def test_public_api_includes_nothing_of_src(self) -> None:
        self.assertEqual(self.complaints("include/godwit/a.h", '#include "base/b.h"\n'), 1)

    def test_core_has_no_system_clock_or_thread(self) -> None:
        for header in ("thread", "sys/socket.h", "unistd.h", "condition_variable", "linux/kvm.h"):
            self.assertEqual(self.complaints("src/migration/a.cpp", f"#include <{header}>\n"), 1, header)
            self.assertEqual(self.complaints("src/io/a.cpp", f"#include <{header}>\n"), 0, header)
        self.assertEqual(self.complaints("src/ram/a.cpp", "auto t = std::chrono::steady_clock::now();\n"), 1)
        self.assertEqual(self.complaints("src/ram/a.cpp", "// no steady_clock here\n"), 0)
        self.assertEqual(self.complaints("src/ram/a.cpp", "#include <fmt/format.h>\n#include <tl/expected.hpp>\n"), 0)

    def test_unit_tests_of_core_may_bring_a_real_clock(self) -> None:
        self.assertEqual(self.complaints("src/migration/a_test.cpp", '#include <thread>\n#include "io/clock.h"\n'), 0)

    def test_unknown_folders_have_no_place(self) -> None:
        self.assertEqual(self.complaints("src/misc/a.cpp", ""), 1)


class Patterns(unittest.TestCase):
    def test_finds_what_is_left_for_later_and_machine_paths(self) -> None:
        marker = "TO" + "DO"
        self.assertTrue(neatness.UNFINISHED.search(f"// {marker}: later"))
        self.assertFalse(neatness.UNFINISHED.search("// nothing " + marker.lower()))
        self.assertTrue(neatness.MACHINE_PATH.search("see " + "/work" + "/x"))
        self.assertFalse(neatness.MACHINE_PATH.search("the network/work/load"))

    def test_reads_the_members_of_a_structure(self) -> None:
        text = "    std::uint64_t a_bytes = 0;   ///< x\n    std::optional<Duration> b;\n    Duration c{};\n    std::string d;\n"
        self.assertEqual(documentation.STATISTIC.findall(text), ["a_bytes", "b", "c", "d"])

    def test_the_tree_has_code(self) -> None:
        self.assertGreater(len(tree.files(("include",), (".h",))), 10)


if __name__ == "__main__":
    unittest.main()
