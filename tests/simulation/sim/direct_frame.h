#pragma once

#include <cstdint>
#include <type_traits>

#include "godwit/units.h"

namespace godwit::sim {

/// What the two ends of the simulated way past the stream tell each other. An answer to a frame is one byte.
struct DirectFrame {
    enum class Kind : std::uint8_t {
        block,      ///< `page`: length of its name; the name and the size (u64) follow
        agree,      ///< no more blocks; `page`: everything is to be registered. Answered
        enroll,     ///< the chunk that begins at `page` is to be registered. Answered
        give_back,  ///< ... not to be any more
        page,       ///< the page's bytes follow
        zero,       ///< the page reads as zeros
        end_round,
    };
    Kind kind = Kind::end_round;
    /// Of the source.
    std::uint8_t block = 0;
    std::uint16_t page = 0;
};
static_assert(sizeof(DirectFrame) == 4 && std::is_trivially_copyable_v<DirectFrame>);

/// One of the chunks that are registered as a whole.
struct DirectChunk {
    std::size_t block = 0;
    std::uint64_t first_page = 0;

    bool operator<(const DirectChunk& other) const {
        return block != other.block ? block < other.block : first_page < other.first_page;
    }
};

}  // namespace godwit::sim
