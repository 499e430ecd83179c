#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "migration/sections.h"
#include "sim/node.h"
#include "sim/page_counts.h"
#include "stream/reader.h"
#include "stream/writer.h"

namespace godwit::sim {

/// A QEMU that sends its machine, as it was observed: it has no deadlines, runs the guest again when anything but
/// SHUT(0) ends the migration, and a cancel ends its stream as orderly as success does.
class QemuSource {
public:
    struct Style {
        bool modern = true;
        bool return_path = true;
        bool bidirectional = true;
    };

    QemuSource(Node& node, Style style);

    /// The body of its thread.
    void run();
    /// The operator cancels. Any fiber.
    void cancel();
    /// The whole machine is under way, and it is not decided whose it is: a cancel now may end in two guests
    /// (docs/handover.md).
    bool is_between() const { return between_; }
    const PageCounts& sent() const { return sent_; }
    /// Lets the thread end; its node is dead or its migration over.
    void end();

private:
    /// Each returns whether to go on.
    bool open();
    bool send_introduction();
    bool send_memory();
    bool send_pass();
    bool stop_and_send_rest();
    bool send_devices();
    bool hear_shut();

    bool collect();
    void put_page(std::size_t block, std::uint64_t page);
    bool flush();
    void let_go();
    void keep();
    void become(MigrationState state);

    Node& node_;
    const Style style_;
    SimOpener opener_;
    std::unique_ptr<Channel> channel_;
    std::unique_ptr<StreamWriter> writer_;
    std::unique_ptr<StreamReader> reader_;
    std::unique_ptr<SectionWriter> sections_;
    std::vector<std::vector<std::uint64_t>> dirty_;
    std::uint64_t pass_ = 0;
    PageCounts sent_;
    RunState before_ = RunState::running;
    bool stopped_ = false;
    bool between_ = false;
    bool cancelled_ = false;
};

}  // namespace godwit::sim
