"""What a test's machines run on, where KVM works and where it does not."""

import argparse
import contextlib
import io
import os
import pathlib
import sys
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import accelerators, machines  # noqa: E402


class RouteTest(unittest.TestCase):
    def route(self, *options, kvm=True, cpus=1, required="0"):
        parser = argparse.ArgumentParser()
        accelerators.add_arguments(parser)
        arguments = parser.parse_args(["--workload", "workload", *options])
        with mock.patch.object(machines, "kvm_works", return_value=kvm), contextlib.redirect_stdout(io.StringIO()), \
                mock.patch.dict(os.environ, {"GODWIT_REQUIRE_KVM": required}):
            return accelerators.route_of(arguments, cpus)

    def test_kvm_is_taken_where_it_works(self):
        self.assertEqual(self.route("--workload32", "workload32"), ("kvm",))
        self.assertEqual(self.route(cpus=2), ("kvm",))

    def test_without_kvm_one_cpu_is_emulated(self):
        self.assertEqual(self.route("--workload32", "workload32", kvm=False), ("emulate",))

    def test_without_kvm_what_cannot_be_emulated_is_skipped(self):
        for options, more in ((("--workload32", "workload32"), {"cpus": 2}), ((), {}), (("--workload32", "w", "--route", "kvm", "emulate"), {})):
            with self.assertRaises(SystemExit) as end:
                self.route(*options, kvm=False, **more)
            self.assertEqual(end.exception.code, 77)

    def test_emulation_is_no_way_out_where_kvm_is_required(self):
        with self.assertRaises(SystemExit) as end:
            self.route("--workload32", "workload32", kvm=False, required="1")
        self.assertEqual(end.exception.code, 1)

    def test_the_route_that_is_asked_for_is_taken(self):
        self.assertEqual(self.route("--workload32", "workload32", "--route", "emulate", "kvm"), ("emulate", "kvm"))
        with self.assertRaises(ValueError):
            self.route("--workload32", "workload32", "--route", "emulate", cpus=2)
        with self.assertRaises(ValueError):
            self.route("--route", "emulate")


unittest.main()
