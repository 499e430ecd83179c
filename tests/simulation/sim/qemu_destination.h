#pragma once

#include <memory>

#include "sim/node.h"
#include "sim/page_counts.h"
#include "stream/reader.h"

namespace godwit::sim {

/// A QEMU that waits for a machine, as it was observed: it has no deadlines, runs the guest by itself as soon as it has
/// the end of the machine, answers with SHUT, and exits on any failure.
class QemuDestination {
public:
    explicit QemuDestination(Node& node) : node_(node), opener_(node.place, node.clock, 1) {}

    /// The body of its thread.
    void run();
    /// Lets the thread end; its node is dead or its migration over.
    void end();
    const PageCounts& received() const { return received_; }

private:
    bool load();
    bool load_header();
    bool load_sections();
    bool load_named_section();
    bool load_ram();
    bool load_page(std::uint64_t head);
    bool load_delta(std::byte* host);
    bool load_block_list(std::uint64_t bytes);
    bool load_device(const std::string& name, std::uint32_t version);
    bool end_section();
    bool obey_command();
    bool take_over();
    bool start_guest();
    void answer(std::uint16_t type, std::uint32_t value);
    void exit();
    void become(MigrationState state);

    Node& node_;
    SimOpener opener_;
    std::unique_ptr<Channel> channel_;
    std::unique_ptr<StreamReader> reader_;
    bool modern_ = false;
    bool return_path_ = false;
    std::size_t block_ = 0;
    PageCounts received_;
};

}  // namespace godwit::sim
