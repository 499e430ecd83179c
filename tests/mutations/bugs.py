"""Deliberate bugs in the handover, in what it rests on, in what moves disks and in what lets pages go past the stream: what is changed where. Each change is one exact piece of text."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Change:
    path: str
    text: str
    instead: str


@dataclasses.dataclass(frozen=True)
class Bug:
    name: str
    what: str
    changes: tuple[Change, ...]


BUGS = (
    Bug(
        "resume-after-commit",
        "the source resumes its guest when it hears nothing after the COMMIT",
        (
            Change(
                "src/migration/outgoing_handover.cpp",
                """    stays_paused_ = true;
    writer_->set_deadline(now() + std::chrono::milliseconds(parameters_.switchover_timeout_ms));
    put_command(""",
                """    writer_->set_deadline(now() + std::chrono::milliseconds(parameters_.switchover_timeout_ms));
    put_command(""",
            ),
            Change(
                "src/migration/outgoing_handover.cpp",
                "        return ownership_unknown(running.error().message);",
                "        return running;",
            ),
        ),
    ),
    Bug(
        "run-before-commit",
        "the destination starts the guest when it has said LOADED, without waiting for the COMMIT",
        (
            Change(
                "src/migration/incoming_handover.cpp",
                """    if (Status committed = wait_for_commit(); !committed) {
        return ownership_unknown(committed.error().message);
    }
""",
                "",
            ),
        ),
    ),
    Bug(
        "run-without-description",
        "the destination of a QEMU takes the end byte for the whole of its last write",
        (
            Change(
                "src/migration/incoming_handover.cpp",
                "    if (Status described = read_description(); !described) {\n        const ErrorCode",
                "    if (Status described; !described) {\n        const ErrorCode",
            ),
            Change(
                "src/migration/incoming_handover.cpp",
                "    if (modern_ && channel_->traits().bidirectional) {",
                "    if (false) {",
            ),
        ),
    ),
    Bug(
        "lost-error",
        "the destination does not tell the source why it failed",
        (
            Change(
                "src/migration/incoming_session.cpp",
                """            if (peer_ == Peer::godwit) {
                return_path_->error(error);
            }
""",
                "",
            ),
        ),
    ),
    Bug(
        "cancel-ignored-in-switchover",
        "the source goes on to the COMMIT although it was cancelled",
        (
            Change(
                "src/migration/outgoing_handover.cpp",
                """    if (!begin_handing_over()) {
        return fail(ErrorCode::cancelled, "the migration was cancelled");
    }
    Status released;
""",
                """    static_cast<void>(begin_handing_over());
    Status released;
""",
            ),
            Change(
                "src/migration/outgoing_handover.cpp",
                """        if (states_.get() == MigrationState::cancelling) {
            return fail(ErrorCode::cancelled, "the migration was cancelled");
        }
""",
                "",
            ),
        ),
    ),
    Bug(
        "mark-cleared-after-reading",
        "the marks of dirty pages are cleared when the pages have been read, not before",
        (
            Change(
                "src/ram/saver.cpp",
                """    if (Status cleared = clear_marks(first, end); !cleared) {
        return fail(cleared.error());
    }
    PageBitmap& bitmap""",
                """    const std::uint64_t word = first.value() / 64;
    const auto bits = bitmaps_[block_].words().subspan(word, (end.value() + 63) / 64 - word);
    const std::vector<std::uint64_t> sent_bits(bits.begin(), bits.end());
    PageBitmap& bitmap""",
            ),
            Change(
                "src/ram/saver.cpp",
                "    remaining_pages_ -= skipped + zeros + whole + deltas;\n",
                """    sink.flush();
    if (Status cleared = dirty_.clear(block_, PageNumber(word * 64), sent_bits); !cleared) {
        return fail(cleared.error());
    }
    remaining_pages_ -= skipped + zeros + whole + deltas;
""",
            ),
        ),
    ),
    Bug(
        "cache-not-refreshed",
        "after a delta the cache still holds the page as it was before",
        (
            Change(
                "src/ram/xbzrle_page_sink.cpp",
                """        std::memcpy(cached, host, page_bytes);
        host = cached;  // it stays until the page is sent again
""",
                "        host = cached;\n",
            ),
        ),
    ),
    Bug(
        "zeros-not-cached",
        "a page that was sent as zeros is still cached as it was before",
        (
            Change(
                "src/ram/xbzrle_page_sink.cpp",
                "        std::memset(cached, 0, page_bytes);\n",
                "        static_cast<void>(cached);\n",
            ),
        ),
    ),
    Bug(
        "zeros-always-skipped",
        "pages of zeros are left out in every pass to fresh memory, not in the first alone",
        (
            Change(
                "src/ram/saver.h",
                """        first_pass_ = false;
        rewind();
""",
                "        rewind();\n",
            ),
        ),
    ),
    Bug(
        "disk-mark-cleared-after-reading",
        "the mark of a written chunk of a disk is cleared when the chunk has been read, not before",
        (
            Change(
                "src/block/saver.cpp",
                "    const bool written = disk.tracker->take(chunk_);\n",
                "    const bool written = disk.tracker->next_marked(chunk_) == chunk_;\n",
            ),
            Change("src/block/saver.cpp", "    ++chunk_;\n    return queued;", "    disk.tracker->take(chunk_++);\n    return queued;"),
        ),
    ),
    Bug(
        "stale-extent",
        "a chunk is left out because it was a hole when the disk was asked, although it has been written since",
        (Change("src/block/saver.cpp", "    if (in_bulk_ && !written) {", "    if (in_bulk_ && (!written || extent_)) {"),),
    ),
    Bug(
        "zeros-taken-for-base",
        "an increment leaves out the zeros of the topmost layer, as if they came from the base",
        (
            Change(
                "src/block/saver.cpp",
                "    if (content == DiskContent::base && options_.incremental) {",
                "    if (content != DiskContent::data && options_.incremental) {",
            ),
        ),
    ),
    Bug(
        "last-sectors-cut",
        "the last sectors of a disk that ends within a page are not written",
        (
            Change(
                "src/block/loader.cpp",
                "target.disk.device->size().value() - offset.value()));",
                "(target.disk.device->size().value() - offset.value()) / page_bytes * page_bytes));",
            ),
        ),
    ),
    Bug(
        "rest-of-disks-not-sent",
        "what was written to the disks in the last pass is not sent in the switchover",
        (
            Change(
                "src/migration/outgoing_disks.cpp",
                "Status OutgoingSession::send_rest_of_disks() {\n    if (!moves_disks()) {",
                "Status OutgoingSession::send_rest_of_disks() {\n    if (true) {",
            ),
        ),
    ),
    Bug(
        "source-not-flushed",
        "the source hands the guest over without having flushed its disks in the switchover",
        (
            Change(
                "src/migration/outgoing_switchover.cpp",
                "    if (Status flushed = flush_disks(); !flushed) {",
                "    if (Status flushed; !flushed) {",
            ),
        ),
    ),
    Bug(
        "failed-flush-forgotten",
        "the source hands the guest over although a flush has failed",
        (
            Change(
                "src/migration/disk_flush.cpp",
                "        if (const Status flushed = disk.device->flush(); !flushed) {",
                "        if (const Status flushed = disk.device->flush(); !flushed && disk.name.empty()) {",
            ),
        ),
    ),
    Bug(
        "destination-not-flushed",
        "the destination says LOADED before its images are flushed",
        (
            Change(
                "src/migration/incoming_handover.cpp",
                "    if (Status flushed = disk_loader_.flush(); !flushed) {",
                "    if (Status flushed; !flushed) {",
            ),
        ),
    ),
    Bug(
        "writes-tracked-for-ever",
        "the writes to the disks are still tracked when the migration is over",
        (
            Change(
                "src/migration/outgoing_session.cpp",
                """    if (disk_saver_) {
        disk_saver_->stop();
    }
""",
                "",
            ),
        ),
    ),
    Bug(
        "images-stay-locked",
        "a destination that gives up keeps the locks of its images",
        (Change("src/migration/incoming_session.cpp", "            disk_loader_.unlock();\n", ""),),
    ),
    Bug(
        "direct-round-without-end",
        "the last round of pages past the stream is not ended before the stream goes on",
        (
            Change(
                "src/migration/outgoing_switchover.cpp",
                """        measure(now());
    }
    page_sink().end_pages();
""",
                """        measure(now());
    }
    page_sink().flush();
""",
            ),
        ),
    ),
    Bug(
        "registered-page-moves",
        "a page to which a device writes is given back to the system when it becomes zeros",
        (
            Change(
                "src/ram/loader_direct.cpp",
                "        if (registered) {\n            fill_with_zeros",
                "        if (false) {\n            fill_with_zeros",
            ),
            Change("src/ram/loader_direct.cpp", "    if (registered || start == end) {", "    if (start == end) {"),
        ),
    ),
    Bug(
        "exposed-memory-is-fresh",
        "what the source may have written past the stream is still taken for untouched memory",
        (
            Change(
                "src/ram/loader_direct.cpp",
                "        blocks_[block].received.set(PageNumber(first.value() + i));\n    }\n}",
                "        static_cast<void>(i);\n    }\n}",
            ),
        ),
    ),
    Bug(
        "direct-way-left-open",
        "a source that fails does not give back what was pinned for pages past the stream",
        (
            Change(
                "src/migration/outgoing_session.cpp",
                """    if (direct_ != nullptr) {
        direct_->close();
    }
""",
                "",
            ),
        ),
    ),
)
