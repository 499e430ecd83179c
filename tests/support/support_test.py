"""Tests of the instruments themselves."""

import contextlib
import io
import json
import os
import pathlib
import socket
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import disk_record, guest, machines, memory_compare  # noqa: E402
from support.deadlines import DeadlineExpired, wait_for  # noqa: E402
from support.processes import Line, Workspace  # noqa: E402
from support.qmp import QmpClient, QmpClosed, QmpError  # noqa: E402
from support.relay import Relay  # noqa: E402


class Sink:
    """A TCP server that collects what one client sends."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.data = b""
        self.reset = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        connection, _ = self.listener.accept()
        with connection:
            connection.sendall(b"hello")
            try:
                while data := connection.recv(65536):
                    self.data += data
            except ConnectionResetError:
                self.reset = True

    def close(self):
        self.listener.close()
        self.thread.join(5)


class RelayTest(unittest.TestCase):
    def setUp(self):
        self.sink = Sink()
        self.addCleanup(self.sink.close)
        self.directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(self.directory.cleanup)

    def test_forwards_counts_and_copies(self):
        tee = os.path.join(self.directory.name, "tee")
        data = os.urandom(3_000_000)
        with Relay("127.0.0.1", self.sink.port, tee=tee) as relay:
            with socket.create_connection(("127.0.0.1", relay.port)) as client:
                self.assertEqual(client.recv(5), b"hello")
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                relay.wait_ended()
                self.sink.thread.join(5)
            self.assertEqual(relay.forward.bytes, len(data))
            self.assertEqual(relay.backward.bytes, 5)
        self.assertEqual(self.sink.data, data)
        with open(tee, "rb") as file:
            self.assertEqual(file.read(), data)

    def test_cuts_at_the_byte(self):
        with Relay("127.0.0.1", self.sink.port, cut_after=100_000) as relay:
            with socket.create_connection(("127.0.0.1", relay.port)) as client:
                with self.assertRaises(OSError):
                    for _ in range(1000):
                        client.sendall(bytes(10_000))
                        time.sleep(0)
                    self.assertTrue(relay.was_cut.wait(5))
                    client.sendall(bytes(10_000))
                    client.sendall(bytes(10_000))
                self.assertTrue(relay.was_cut.wait(5))
            self.sink.thread.join(5)
            self.assertEqual(relay.forward.bytes, 100_000)
        self.assertLessEqual(len(self.sink.data), 100_000)

    def test_stalls_at_the_byte_and_resumes(self):
        with Relay("127.0.0.1", self.sink.port, stall_after=50_000) as relay:
            with socket.create_connection(("127.0.0.1", relay.port)) as client:
                client.sendall(bytes(60_000))
                wait_for(lambda: relay.forward.stalled, 5, "the stall")
                self.assertEqual(relay.forward.bytes, 50_000)
                relay.resume()
                relay.wait_forwarded(60_000)


class GuestTest(unittest.TestCase):
    def test_parses_lines(self):
        beat = guest.parse_heartbeat(Line("HB 7 gen=2 pages=512 errors=0", 1.5))
        self.assertEqual(beat, guest.Heartbeat(1.5, 7, 2, 512, 0))
        verdict = guest.parse_verdict(Line("VERDICT bad errors=3 pages=12 gen=4 deep", 2))
        self.assertEqual((verdict.ok, verdict.errors, verdict.pages, verdict.deep), (False, 3, 12, True))
        corrupt = guest.parse_corruption(Line("CORRUPT page=5 word=73 found=0xff expected=0x1 kind=torn", 0))
        self.assertEqual(corrupt, guest.Corruption(5, 73, 255, 1, "torn"))

    def test_joins_a_line_that_moved(self):
        class Output:
            def __init__(self, lines, partial):
                self._lines, self._partial = lines, partial

            def lines(self):
                return self._lines

            def partial(self):
                return self._partial

        lines = guest.joined_lines(Output([Line("HB 1 gen=0 pages=1 errors=0", 1)], "HB 2 gen=0 pa"),
                                   Output([Line("ges=2 errors=0", 3)], ""))
        beats = guest.heartbeats(lines)
        self.assertEqual([beat.counter for beat in beats], [1, 2])
        self.assertEqual(guest.largest_gap_s(beats), 2)
        guest.check_heartbeats(beats)

    def test_rejects_missing_and_backward_heartbeats(self):
        def beat(counter, pages, errors=0):
            return guest.Heartbeat(0, counter, 0, pages, errors)

        for beats in ([beat(1, 1), beat(3, 2)], [beat(1, 5), beat(2, 4)], [beat(1, 1), beat(2, 2, 1)], [beat(2, 2), beat(2, 2)]):
            with self.assertRaises(AssertionError):
                guest.check_heartbeats(beats)
        with self.assertRaises(AssertionError):
            guest.check_serial([Line("VERDICT bad errors=1 pages=1 gen=1", 0)])


class MemoryCompareTest(unittest.TestCase):
    def test_finds_the_first_differing_page(self):
        with tempfile.TemporaryDirectory() as directory:
            a, b = (os.path.join(directory, name) for name in "ab")
            data = bytearray(os.urandom(3 << 20))
            for path in (a, b):
                pathlib.Path(path).write_bytes(data)
            self.assertIsNone(memory_compare.first_difference(a, b))
            data[2 << 20 | 4096 * 3 | 5] ^= 1
            data[-1] ^= 1
            pathlib.Path(b).write_bytes(data)
            self.assertEqual(memory_compare.first_difference(a, b), 512 + 3)
            self.assertIn("page 515 differs from byte 5", memory_compare.describe_difference(a, b, 515))
            pathlib.Path(b).write_bytes(data[:-1])
            with self.assertRaises(ValueError):
                memory_compare.first_difference(a, b)


class KvmTest(unittest.TestCase):
    def end_without_kvm(self, required):
        output = io.StringIO()
        with mock.patch.object(machines, "kvm_works", return_value=False), contextlib.redirect_stdout(output), \
                mock.patch.dict(os.environ, {"GODWIT_REQUIRE_KVM": required}), self.assertRaises(SystemExit) as end:
            machines.need_kvm()
        # scripts/skipped.py looks for the word.
        self.assertIn("KVM", output.getvalue())
        return end.exception.code

    def test_without_kvm_a_test_is_skipped_unless_kvm_is_required(self):
        self.assertEqual(self.end_without_kvm(required="0"), 77)
        self.assertEqual(self.end_without_kvm(required="1"), 1)

    def test_with_kvm_a_test_goes_on(self):
        with mock.patch.object(machines, "kvm_works", return_value=True):
            machines.need_kvm()


class QmpTest(unittest.TestCase):
    def serve(self, handler):
        directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "qmp")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self.addCleanup(listener.close)

        def run():
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
                for line in lines:
                    request = json.loads(line)
                    answer = handler(request, connection)
                    if answer is None:
                        return
                    connection.sendall(json.dumps({**answer, "id": request["id"]}).encode() + b"\r\n")

        threading.Thread(target=run, daemon=True).start()
        return path

    def test_answers_errors_and_events(self):
        def handler(request, connection):
            if request["execute"] == "bad":
                return {"error": {"class": "GenericError", "desc": "no such thing"}}
            if request["execute"] == "event":
                connection.sendall(b'{"event": "STOP", "data": {}, "timestamp": {}}\r\n')
            return {"return": {"echo": request.get("arguments")}}

        client = QmpClient(self.serve(handler), timeout_s=5)
        self.addCleanup(client.close)
        self.assertEqual(client.command("x", {"a": 1}), {"echo": {"a": 1}})
        with self.assertRaisesRegex(QmpError, "no such thing"):
            client.command("bad")
        client.command("event")
        self.assertEqual(client.wait_event("STOP").name, "STOP")
        with self.assertRaises(DeadlineExpired):
            client.wait_event("RESUME", timeout_s=0.05)

    def test_end_of_connection(self):
        client = QmpClient(self.serve(lambda request, _: {"return": {}} if request["id"] == 1 else None), timeout_s=5)
        self.addCleanup(client.close)
        with self.assertRaises(QmpClosed):
            client.command("quit")


class ProcessTest(unittest.TestCase):
    def test_lines_with_times_and_end_by_pid(self):
        with Workspace() as workspace:
            process = workspace.start("cat", ["cat"])
            before = time.monotonic()
            process.write(b"one\ntwo\npart")
            line = process.output.wait_line("two", 5)
            self.assertTrue(before <= line.time_s <= time.monotonic())
            wait_for(lambda: process.output.partial() == "part", 5, "the unfinished line")
            with self.assertRaises(DeadlineExpired):
                process.output.wait_line("three", 0.05)
            pid, directory = process.pid, workspace.directory
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)
        self.assertFalse(directory.exists())

    def test_end_of_output_is_reported(self):
        with Workspace() as workspace:
            process = workspace.start("end", ["sh", "-c", "echo only; echo reason >&2; exit 3"])
            with self.assertRaises(EOFError):
                process.output.wait_line("more", 5)
            self.assertEqual(process.wait_exit(5), 3)
            self.assertEqual(process.stderr(), "reason\n")

    def test_a_report_of_a_sanitizer_fails_the_test(self):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as end, Workspace() as workspace:
            workspace.start("raced", ["sh", "-c", "echo WARNING: ThreadSanitizer: data race >&2"]).wait_exit(5)
        self.assertEqual(end.exception.code, 1)
        self.assertIn("data race", said.getvalue())

    def test_patience_lengthens_deadlines(self):
        with mock.patch("support.deadlines.PATIENCE", 3), Workspace() as workspace:
            process = workspace.start("cat", ["cat"])
            with self.assertRaisesRegex(DeadlineExpired, "within 0.15"):
                process.wait_exit(0.05)


class DiskRecordTest(unittest.TestCase):
    SPAN = 10

    def setUp(self):
        # pylint: disable=consider-using-with
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = pathlib.Path(self.directory.name) / "image"
        self.record = disk_record.DiskRecord(seed=5, number=1, span=self.SPAN)
        self.path.write_bytes(bytes(self.SPAN * disk_record.SECTOR_BYTES))
        for write in range(25):
            self.put(write)

    def put(self, write, content=None):
        with open(self.path, "r+b") as image:
            image.seek(self.record.sector(write) * disk_record.SECTOR_BYTES)
            image.write(self.record.content(write) if content is None else content)

    def expect_failure(self, words, **limits):
        with self.assertRaisesRegex(AssertionError, words):
            self.record.check_image(self.path, **limits)

    def test_every_round_goes_to_every_sector_once(self):
        self.assertEqual(sorted(self.record.sector(write) for write in range(self.SPAN)), list(range(self.SPAN)))
        self.assertEqual(self.record.sector(3), self.record.sector(3 + self.SPAN))
        self.assertEqual(len(self.record.content(3)), disk_record.SECTOR_BYTES)

    def test_an_image_with_all_writes_passes(self):
        self.assertEqual(self.record.check_image(self.path, durable=25, submitted=25), self.SPAN)
        self.record.check_image(self.path, durable=17)

    def test_a_sector_of_an_older_round_fails_once_a_newer_one_was_durable(self):
        self.put(14)
        self.record.check_image(self.path, durable=24, submitted=25)
        self.expect_failure("holds write 14, but write 24 was durable", durable=25)

    def test_a_lost_sector_fails(self):
        self.put(24, bytes(disk_record.SECTOR_BYTES))
        self.expect_failure("write 24 is lost", durable=25)
        self.expect_failure("write 4 is lost", durable=5)
        self.record.check_image(self.path, durable=4)

    def test_a_torn_or_foreign_sector_fails(self):
        self.put(24, self.record.content(24)[:256] + self.record.content(14)[256:])
        self.expect_failure("no write of the guest", durable=0)
        self.put(24, self.record.content(23))
        self.expect_failure("no write of the guest", durable=0)
        self.put(24, disk_record.DiskRecord(5, 2, self.SPAN).content(24))
        self.expect_failure("no write of the guest", durable=0)

    def test_a_write_that_was_never_made_fails(self):
        self.expect_failure("only 24 had been submitted", durable=0, submitted=24)


unittest.main()
