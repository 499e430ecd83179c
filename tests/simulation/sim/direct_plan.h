#pragma once

#include <cstdint>
#include <optional>

namespace godwit::sim {

/// What the way past the stream is like, where a link offers one.
struct DirectPlan {
    bool offered = false;
    /// Pages that are registered together.
    std::uint64_t chunk_pages = 4;
    /// Chance that a push leaves pages that were put unread until later.
    unsigned late_percent = 50;
    /// Chance that a round ends with a chunk's registration given back.
    unsigned forget_percent = 20;
    /// What the destination says that it may pin; absent: as much as there is.
    std::optional<std::uint64_t> pin_limit_pages;
    /// The source cannot keep all its memory in RAM.
    bool source_cannot_pin = false;
    /// The registration that fails at the destination, counted from 1; 0: none.
    std::uint64_t failing_registration = 0;
    /// For a test of the simulation itself: the last page of a round is lost on its way.
    bool loses_pages = false;

    bool fails() const { return pin_limit_pages || source_cannot_pin || failing_registration != 0; }
    void heal() {
        pin_limit_pages.reset();
        source_cannot_pin = false;
        failing_registration = 0;
    }
};

}  // namespace godwit::sim
